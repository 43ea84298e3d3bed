/**
 * Goal: what an update expects holds when its turn has come (clause 7), whoever takes the turn; a
 * conflict gives the place in the queue up. Method: the ledger's own functions hold an entity that
 * the update needs, and release it in one way or another.
 */
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import type { UpdateHandle } from 'twinwrite';
import { takeOverdue } from '../../src/activities/overdue';
import * as ledger from '../../src/activities/postgres/ledger';
import { fingerprintOf } from '../../src/domain/fingerprint';
import { queueOf } from '../activities/postgres/queue-of';
import { eventually } from '../support/eventually';
import { openWorld, type RunningWorker, type World } from '../support/world';
import {
  type Edit,
  edit,
  editKinds,
  pages,
  preparePages,
  readPage,
  tracesOf,
  versionIn,
} from './pages';

let world: World;
let worker: RunningWorker;
const kinds = editKinds();
const { update, claimed, settle } = queueOf(() => world.postgres);

const startWorker = async () =>
  await world.startWorker({ updates: Object.values(kinds), projections: [pages] });

beforeAll(async () => {
  world = await openWorld();
  await preparePages(world);
  worker = await startWorker();
});

afterAll(async () => {
  await worker.stop();
  await world.close();
});

const lockOf = () => `lock:${randomUUID()}`;

/** Holds an entity as an update in flight does, until it is let go. */
const hold = async (entity: string) => {
  const holder = update([entity]);
  const claim = await claimed(holder);
  return {
    release: async () => await call(await settle(holder, claim)),
    /** As an update that is compensated: the entity gets a further version. */
    releaseUndone: async () => {
      const reason = { code: 'Cancelled', message: 'by the test' } as const;
      const { key } = holder;
      await ledger.fence(world.postgres, key, reason, 'the test');
      await ledger.beginUndo(world.postgres, key);
      await call((await ledger.finishUndo(world.postgres, key)).turns);
    },
  };
};

const call = async (workflows: readonly string[]) => {
  for (const id of workflows) await world.temporal.workflow.getHandle(id).signal('turn');
};

const waits = async ({ edit: token }: Edit) => {
  await eventually(async () => {
    const sql = `select from twinwrite.pending where $1 = any(tokens) and stage = 'queued'`;
    return (await world.postgres.query(sql, [token])).rowCount === 1 || undefined;
  }, `${token} waits`);
};

const conflictOf = async (handle: UpdateHandle) => {
  const outcome = await handle.outcome();
  if (outcome.status !== 'refused') throw new Error(`it is ${outcome.status}`);
  return outcome.reason.conflicts?.[0];
};

const made = async (): Promise<{ page: string; version: string | null }> => {
  const first = edit();
  await world.twinwrite.execute(kinds.free, first);
  return { page: first.page, version: pages.versionOf(await readPage(world, first.page)) };
};

test.each(Object.values(kinds))(
  'clause 7: having waited for something else is no change: $name',
  async (kind) => {
    const { page, version } = await made();
    const lock = lockOf();
    const { release } = await hold(lock);
    const input = edit({ page, lock, body: 'in turn' });
    const handle = await world.twinwrite.submit(kind, input, { expect: { version } });
    await waits(input);
    expect(await versionIn(world, page)).toBe(version);
    await release();
    expect(await handle.outcome()).toMatchObject({ status: 'applied' });
    expect(pages.versionOf(await readPage(world, page))).toBe(String(Number(version) + 1));
  },
);

test('a page that was made while it waited for a lock is a conflict, for null as well', async () => {
  const page = randomUUID();
  const { releaseUndone } = await hold(`pages/${page}`);
  const input = edit({ page });
  const handle = await world.twinwrite.submit(kinds.held, input, { expect: { version: null } });
  await waits(input);
  await world.postgres.query(`insert into page (id, body) values ($1, 'by the holder')`, [page]);
  await releaseUndone();
  expect(await conflictOf(handle)).toMatchObject({ document: `pages/${page}`, expected: null });
  expect(await tracesOf(world, input)).toEqual([]);
});

test('clause 7: a change while it waited is a conflict: it leaves the queue, and the next one goes on', async () => {
  const { page } = await made();
  const { releaseUndone } = await hold(`pages/${page}`);
  const version = (await versionIn(world, page)) ?? null;
  const input = edit({ page, body: 'expecting' });
  const next = edit({ page, body: 'next' });
  const handle = await world.twinwrite.submit(kinds.held, input, { expect: { version } });
  await waits(input);
  const behind = await world.twinwrite.submit(kinds.held, next);
  await waits(next);
  await releaseUndone();
  expect(await conflictOf(handle)).toEqual({
    document: `pages/${page}`,
    expected: version,
    found: String(Number(version) + 1),
  });
  expect(await behind.outcome()).toMatchObject({ status: 'applied' });
  expect(await tracesOf(world, input)).toEqual([]);
  expect(await readPage(world, page)).toMatchObject({ body: 'next' });
});

test('what has changed already is not waited for', async () => {
  const { page, version } = await made();
  const { release } = await hold(`pages/${page}`);
  const input = edit({ page });
  const outcome = await world.twinwrite.execute(kinds.free, input, { expect: { version } });
  expect(outcome).toMatchObject({ reason: { conflicts: [{ expected: version }] } });
  const { rowCount } = await world.postgres.query('select from twinwrite.ledger where token = $1', [
    input.edit,
  ]);
  expect(rowCount).toBe(0);
  await release();
  expect(await tracesOf(world, input)).toEqual([]);
});

test('an update that waited and was cancelled leaves the version that readers have', async () => {
  const { page, version } = await made();
  const lock = lockOf();
  const { release } = await hold(lock);
  const given = edit({ page, lock });
  const handle = await world.twinwrite.submit(kinds.held, given);
  await waits(given);
  await handle.cancel();
  expect(await handle.outcome()).toMatchObject({ status: 'refused' });
  const again = edit({ page, body: 'again' });
  const outcome = await world.twinwrite.execute(kinds.held, again, { expect: { version } });
  expect(outcome).toMatchObject({ status: 'applied' });
  await release();
});

test('clause 10: another driver takes the turn by what was recorded, not by what it knows', async () => {
  const { page } = await made();
  const { releaseUndone } = await hold(`pages/${page}`);
  const version = (await versionIn(world, page)) ?? null;
  const input = edit({ page });
  const handle = await world.twinwrite.submit(kinds.held, input, { expect: { version } });
  await waits(input);
  await world.temporal.workflow.getHandle(handle.workflowId).terminate();
  await releaseUndone().catch(() => {});
  const driver = world.temporal.workflow.execute('crossStoreUpdate', {
    workflowId: `driver/${input.edit}`,
    taskQueue: world.name,
    args: [{ definition: kinds.held.name, token: input.edit, input }],
  });
  await expect(driver).rejects.toMatchObject({ cause: { type: 'VersionConflict' } });
  expect(await tracesOf(world, input)).toEqual([]);
});

test('clause 1: a caller who comes again is judged by the newer expectation', async () => {
  const { page } = await made();
  const { releaseUndone } = await hold(`pages/${page}`);
  const input = edit({ page, body: 'second thought' });
  const version = (await versionIn(world, page)) ?? null;
  const handle = await world.twinwrite.submit(kinds.held, input, { expect: { version } });
  await waits(input);
  await world.temporal.workflow.getHandle(handle.workflowId).terminate();
  await world.postgres.query(`update twinwrite.pending set workflow = 'gone' where workflow = $1`, [
    handle.workflowId,
  ]);
  await releaseUndone().catch(() => {});
  const now = (await versionIn(world, page)) ?? null;
  expect(now).not.toBe(version);
  const outcome = await world.twinwrite.execute(kinds.held, input, { expect: { version: now } });
  expect(outcome).toMatchObject({ status: 'applied' });
});

test('a conflict whose place in the queue cannot be given up at once is told when it is', async () => {
  const { page } = await made();
  const { releaseUndone } = await hold(`pages/${page}`);
  const version = (await versionIn(world, page)) ?? null;
  const input = edit({ page });
  const handle = await world.twinwrite.submit(kinds.free, input, { expect: { version } });
  await waits(input);
  const rename = async (from: string, to: string) =>
    await world.postgres.query(`alter function twinwrite.${from} rename to ${to}`);
  await rename('withdraw', 'withdraw_away');
  await releaseUndone();
  const workflow = world.temporal.workflow.getHandle(handle.workflowId);
  await eventually(async () => {
    const { raw } = await workflow.describe();
    return (raw.pendingActivities?.[0]?.attempt ?? 0) > 1 || undefined;
  }, 'the conflict was met once');
  expect(await tracesOf(world, input)).not.toEqual([]);
  await rename('withdraw_away', 'withdraw');
  expect(await conflictOf(handle)).toMatchObject({ expected: version });
  expect(await tracesOf(world, input)).toEqual([]);
});

/** An update that waits for a page, by the page's version, and whose workflow is gone. */
const leftWaiting = async () => {
  const { page } = await made();
  const { releaseUndone } = await hold(`pages/${page}`);
  const version = (await versionIn(world, page)) ?? null;
  const input = edit({ page, body: 'expecting' });
  const handle = await world.twinwrite.submit(kinds.held, input, { expect: { version } });
  await waits(input);
  await world.temporal.workflow.getHandle(handle.workflowId).terminate();
  return { input, version, release: async () => await releaseUndone().catch(() => {}) };
};

test('clause 9: the janitor takes the turn by what was recorded', async () => {
  const { input, release } = await leftWaiting();
  await release();
  await eventually(
    async () => (await tracesOf(world, input)).length === 0 || undefined,
    'the janitor has met the conflict',
  );
  expect(await readPage(world, input.page)).toMatchObject({ body: 'text' });
});

test('clause 9: a driver that is late does not bring back what was withdrawn meanwhile', async () => {
  const { input, version, release } = await leftWaiting();
  await worker.stop();
  await release();
  await world.postgres.query(
    `update twinwrite.pending set calls = 2, due = now() - interval '1 second' where stage = 'granted'`,
  );
  const [taken] = await takeOverdue(world.postgres, [kinds.held.name], 10);
  const { definition, token } = taken?.request ?? { definition: '', token: '' };
  expect(taken?.request).toEqual({
    definition: kinds.held.name,
    token: input.edit,
    input,
    expect: { [`pages/${input.page}`]: version },
  });
  const key = { definition, token, fingerprint: fingerprintOf(input) };
  await ledger.withdraw(world.postgres, key, 'somebody else');
  expect(await tracesOf(world, input)).toEqual([]);
  worker = await startWorker();
  const driver = world.temporal.workflow.execute('crossStoreUpdate', {
    workflowId: `late/${token}`,
    taskQueue: world.name,
    args: [taken?.request],
  });
  await expect(driver).rejects.toMatchObject({ cause: { type: 'VersionConflict' } });
  expect(await tracesOf(world, input)).toEqual([]);
});
