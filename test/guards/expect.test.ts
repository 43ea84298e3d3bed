/**
 * Goal: an update with an expected version is applied to that version of its document or to none; a
 * conflict is a result, and leaves no trace, so that the same token may come again. Method: what
 * readers find in MongoDB given back with the call, by one and by many at once; then rows of the
 * ledger counted.
 */
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import type { Long } from 'mongodb';
import type { Expectation, Outcome } from 'twinwrite';
import { openWorld, type RunningWorker, type World } from '../support/world';
import {
  edit,
  editKinds,
  pages,
  preparePages,
  REFUSED,
  readPage,
  tracesOf,
  versionIn,
} from './pages';

let world: World;
let worker: RunningWorker;
const kinds = editKinds();

beforeAll(async () => {
  world = await openWorld();
  await preparePages(world);
  worker = await world.startWorker({ updates: Object.values(kinds), projections: [pages] });
});

afterAll(async () => {
  await worker.stop();
  await world.close();
});

const versionRead = async (page: string) => pages.versionOf(await readPage(world, page));

const isConflict = (outcome: Outcome) =>
  outcome.status === 'refused' && outcome.reason.code === 'VersionConflict';

describe.each(Object.values(kinds))('$name', (kind) => {
  const execute = async (input: ReturnType<typeof edit>, version: Expectation['version']) =>
    await world.twinwrite.execute(kind, input, { expect: { version } });

  test('is applied to the version that was read, and refused for one before', async () => {
    const first = edit();
    expect(await execute(first, null)).toMatchObject({ status: 'applied' });
    const read = await versionRead(first.page);
    const second = edit({ page: first.page, body: 'second' });
    expect(await execute(second, read)).toMatchObject({ status: 'applied' });
    const late = edit({ page: first.page, body: 'late' });
    const now = await versionRead(first.page);
    expect(await execute(late, read)).toEqual({
      status: 'refused',
      reason: {
        code: 'VersionConflict',
        message: expect.stringContaining(`version ${read} of pages/${first.page}`),
        conflicts: [{ document: `pages/${first.page}`, expected: read, found: now }],
      },
    });
    expect(await readPage(world, first.page)).toMatchObject({ body: 'second' });
  });

  test('a conflict leaves no trace, and its token is free for a newer expectation', async () => {
    const first = edit();
    await execute(first, null);
    const late = edit({ page: first.page, body: 'late' });
    const before = await versionIn(world, first.page);
    expect(isConflict(await execute(late, null))).toBe(true);
    expect(isConflict(await execute(late, '99'))).toBe(true);
    expect(await tracesOf(world, late)).toEqual([]);
    expect(await versionIn(world, first.page)).toBe(before);
    expect(await execute(late, await versionRead(first.page))).toMatchObject({ status: 'applied' });
    expect(await readPage(world, first.page)).toMatchObject({ body: 'late' });
  });

  test('clause 1: what was applied is answered as ever, whatever is expected', async () => {
    const first = edit();
    const answer = await execute(first, null);
    expect(await execute(first, null)).toEqual(answer);
    expect(await execute(first, '12345')).toEqual(answer);
    // Also where Temporal cannot say so, and the ledger is asked.
    const raw = await world.temporal.workflow.execute('crossStoreUpdate', {
      workflowId: `another/${first.edit}`,
      taskQueue: world.name,
      args: [
        {
          definition: kind.name,
          token: first.edit,
          input: first,
          expect: { [`pages/${first.page}`]: '7' },
        },
      ],
    });
    expect(raw).toEqual(answer);
  });

  test('of many at once with one version, one is applied', async () => {
    const first = edit();
    await execute(first, null);
    const read = await versionRead(first.page);
    const outcomes = await Promise.all(
      Array.from({ length: 12 }, (_, index) =>
        execute(edit({ page: first.page, body: `${index}` }), read),
      ),
    );
    expect(outcomes.filter(({ status }) => status === 'applied')).toHaveLength(1);
    expect(outcomes.filter(isConflict)).toHaveLength(11);
  });

  test('of many at once that expect no page, one makes it', async () => {
    const page = randomUUID();
    const outcomes = await Promise.all(
      Array.from({ length: 8 }, () => execute(edit({ page }), null)),
    );
    expect(outcomes.filter(({ status }) => status === 'applied')).toHaveLength(1);
    expect(outcomes.filter(isConflict)).toHaveLength(7);
  });

  test('a page that was deleted is not there: null is met, and its version is not', async () => {
    const first = edit();
    await execute(first, null);
    const read = await versionRead(first.page);
    await world.twinwrite.execute(kind, edit({ page: first.page, body: '' }));
    const again = edit({ page: first.page });
    expect(isConflict(await execute(again, read))).toBe(true);
    expect(await versionRead(first.page)).toBeNull();
    expect(await execute(again, null)).toMatchObject({ status: 'applied' });
  });

  test('a version of a page that never was is not met', async () => {
    const input = edit();
    expect(await execute(input, '1')).toMatchObject({
      reason: { conflicts: [{ expected: '1', found: null }] },
    });
    expect(await versionIn(world, input.page)).toBeUndefined();
  });

  test('of several pages each is as expected, or nothing is done', async () => {
    const [one, two] = [edit(), edit()];
    for (const input of [one, two]) await execute(input, null);
    const both = edit({ page: one.page, copy: two.page, body: 'both' });
    const given = async (last: string | null) => [
      { document: pages.document(one.page), version: await versionRead(one.page) },
      { document: pages.document(two.page), version: last },
    ];
    const outcome = await world.twinwrite.execute(kind, both, { expect: await given('77') });
    expect(outcome).toMatchObject({
      reason: { conflicts: [{ document: `pages/${two.page}`, expected: '77' }] },
    });
    expect(await readPage(world, one.page)).toMatchObject({ body: 'text' });
    const expected = await given(await versionRead(two.page));
    expect(await world.twinwrite.execute(kind, both, { expect: expected })).toMatchObject({
      status: 'applied',
    });
  });
});

test('what was compensated meanwhile is another version, and has been read by nobody', async () => {
  const first = edit();
  await world.twinwrite.execute(kinds.held, first);
  const read = await versionRead(first.page);
  const refused = edit({ page: first.page, body: REFUSED });
  expect(await world.twinwrite.execute(kinds.held, refused)).toMatchObject({
    status: 'compensated',
  });
  const late = edit({ page: first.page, body: 'late' });
  const outcome = await world.twinwrite.execute(kinds.held, late, { expect: { version: read } });
  expect(isConflict(outcome)).toBe(true);
});

test('a handle of another process tells the conflict too', async () => {
  const first = edit();
  await world.twinwrite.execute(kinds.free, first);
  const late = edit({ page: first.page });
  await world.twinwrite.submit(kinds.free, late, { expect: { version: null } });
  expect(isConflict(await world.twinwrite.handle(kinds.free, late.edit).outcome())).toBe(true);
});

test('the first version after the epoch was raised is compared with the one before', async () => {
  const [kept, changed] = [edit(), edit()];
  for (const input of [kept, changed]) await world.twinwrite.execute(kinds.free, input);
  const [keptRead, changedRead] = [await versionRead(kept.page), await versionRead(changed.page)];
  await world.twinwrite.execute(kinds.free, edit({ page: changed.page, body: 'changed' }));
  await world.postgres.query('update twinwrite.store set epoch = epoch + 1');
  const again = (page: string, version: string | null) =>
    world.twinwrite.execute(kinds.free, edit({ page, body: 'late' }), { expect: { version } });
  expect(isConflict(await again(changed.page, changedRead))).toBe(true);
  expect(await again(kept.page, keptRead)).toMatchObject({ status: 'applied' });
  expect(BigInt((await versionRead(kept.page)) ?? 0)).toBeGreaterThan(2n ** 40n);
});

describe('versionOf', () => {
  test('tells the same however the driver reads 64-bit integers', async () => {
    const first = edit();
    await world.twinwrite.execute(kinds.free, first);
    const version = await versionIn(world, first.page);
    const collection = world.mongo
      .db()
      .collection<{ _id: string; _tw: { version: Long } }>('pages');
    for (const options of [{}, { promoteLongs: false }, { useBigInt64: true }]) {
      expect(pages.versionOf(await collection.findOne({ _id: first.page }, options))).toBe(version);
    }
  });

  test('is null for what is not there, and says what to do where there is none', () => {
    expect(pages.versionOf(null)).toBeNull();
    expect(pages.versionOf({ _id: '1', _tw: { version: 5, live: false } })).toBeNull();
    expect(() => pages.versionOf({ _id: '1' })).toThrow(/_tw: is missing: read the document with/);
  });
});

describe('an expectation that cannot be judged', () => {
  const none = edit({ copy: randomUUID() });
  test.each<[string, unknown, string]>([
    ['a number', { version: 5 }, 'is { version }'],
    ['no version', {}, 'is { version }'],
    ['something else than a version', { version: '5.0' }, 'is { version }'],
    ['no document of two', { version: null }, 'names no document, and the update projects 2'],
    [
      'a document that is not projected',
      { version: null, document: pages.document('other') },
      'names pages/other, which the update does not project',
    ],
    [
      'one document twice',
      [1, 2].map(() => ({ version: null, document: pages.document(none.page) })),
      'twice',
    ],
  ])('is refused before anything is started: %s', async (_, given, reason) => {
    const options = { expect: given as Expectation };
    await expect(world.twinwrite.submit(kinds.free, none, options)).rejects.toMatchObject({
      code: 'InvalidInput',
      message: expect.stringContaining(reason),
    });
    expect(await tracesOf(world, none)).toEqual([]);
  });

  test.each<[string, unknown]>([
    ['no map', ['5']],
    ['no versions', { 'pages/1': 5 }],
    ['another document', { 'pages/other': '5' }],
  ])('ends a workflow that somebody started by hand: %s', async (_, given) => {
    const input = edit();
    const started = world.temporal.workflow.execute('crossStoreUpdate', {
      workflowId: `raw/${input.edit}`,
      taskQueue: world.name,
      args: [{ definition: 'editFree', token: input.edit, input, expect: given }],
    });
    await expect(started).rejects.toMatchObject({ cause: { type: 'InvalidInput' } });
    expect(await tracesOf(world, input)).toEqual([]);
  });
});
