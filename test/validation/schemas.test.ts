/**
 * Goal: a schema may make something else of an input; callbacks get what it makes, while what
 * travels and what the token stands for is what the caller gave. Whatever a schema lets in, no
 * operator of MongoDB runs and no prototype is polluted (clause 2, H17). Method: one definition
 * with every kind of change a schema can make, and a set of schemas that let anything in.
 */
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { defaultPayloadConverter } from '@temporalio/common';
import { defineCrossStoreUpdate, defineProjection } from 'twinwrite';
import { z } from 'zod';
import { fingerprintOf } from '../../src/domain/fingerprint';
import { openWorld, type RunningWorker, type World } from '../support/world';

/** What each callback was given, by its name. */
const given = new Map<string, unknown[]>();
function note(callback: string, input: unknown): void {
  given.set(callback, [...(given.get(callback) ?? []), input]);
}

const changing = defineCrossStoreUpdate({
  name: 'changing',
  input: z.strictObject({
    id: z.uuid(),
    at: z.iso.datetime().transform((text) => new Date(text)),
    until: z.coerce.date(),
    cents: z.string().regex(/^\d+$/).transform(BigInt),
    title: z.string().trim().toLowerCase(),
    priority: z.string().default('normal'),
    tags: z.preprocess(
      (value) => (typeof value === 'string' ? value.split(',') : value),
      z.array(z.string()),
    ),
    size: z
      .string()
      .transform((text) => text.length)
      .pipe(z.int().max(5)),
    code: z.string().refine(async (code) => code !== 'taken', 'is taken'),
  }),
  token: (input) => {
    note('token', input);
    return input.id;
  },
  entities: (input) => {
    note('entities', input);
    return [`at:${input.at.getUTCFullYear()}`];
  },
  postgres: {
    apply: async ({ input, client }) => {
      note('apply', input);
      await client.query('insert into changing (id, at, cents) values ($1, $2, $3)', [
        input.id,
        input.at,
        input.cents,
      ]);
      return { cents: (input.cents + 1n).toString() };
    },
    undo: async ({ input, client }) => {
      note('undo', input);
      await client.query('delete from changing where id = $1', [input.id]);
    },
  },
  mongo: {
    transaction: {
      apply: async ({ input, refuse }) => {
        note('mongo', input);
        refuse('so that it is undone');
      },
    },
  },
});

/** Schemas that let in what ours does not. */
const anything = {
  any: z.any(),
  unknown: z.unknown(),
  json: z.json(),
  record: z.record(z.string(), z.any()),
  loose: z.looseObject({}),
  strip: z.object({ data: z.any() }),
};

const owned = defineProjection({
  collection: 'owned',
  owns: ['data'],
  image: async ({ postgres, ids }) => {
    const { rows } = await postgres.query<{ id: string; data: unknown }>(
      'select id, data from owned where id = any($1)',
      [ids],
    );
    return rows.map(({ id, data }) => ({ _id: id, data }));
  },
});

const openTo = (name: string, schema: z.ZodType) =>
  defineCrossStoreUpdate({
    name: `open_${name}`,
    input: schema as z.ZodType<{ data?: unknown } | null>,
    token: () => randomUUID(),
    postgres: { apply: async ({ input }) => ({ got: JSON.stringify(input) }) },
    mongo: { project: () => [] },
  });

/** Its ids come from outside, operators and paths among them. */
const addressed = defineCrossStoreUpdate({
  name: 'addressed',
  input: z.strictObject({ id: z.string(), data: z.string() }),
  token: ({ id }) => id,
  postgres: {
    apply: async ({ client, input: { id, data } }) => {
      // MongoDB's operators may stand in rows that no input of ours has brought.
      const nested = { [data]: { $ne: null } };
      await client.query('insert into owned (id, data) values ($1, $2)', [
        id,
        JSON.stringify(nested),
      ]);
      return {};
    },
  },
  mongo: { project: ({ id }) => [owned.document(id)] },
});

let world: World;
let worker: RunningWorker;

beforeAll(async () => {
  world = await openWorld();
  await world.postgres.query('create table changing (id uuid, at timestamptz, cents bigint)');
  await world.postgres.query('create table owned (id text primary key, data jsonb)');
  const open = Object.entries(anything).map(([name, schema]) => openTo(name, schema));
  worker = await world.startWorker({ updates: [changing, addressed, ...open] });
});

afterAll(async () => {
  await worker.stop();
  await world.close();
  expect(({} as { polluted?: unknown }).polluted).toBeUndefined();
});

const wire = () => ({
  id: randomUUID(),
  at: '2026-01-02T03:04:05.678Z',
  until: '2027-01-01',
  cents: '9007199254740993',
  title: '  A Title ',
  tags: 'a,b',
  size: 'four',
  code: 'free',
});

test('clause 2: callbacks get what the schema makes, and the wire carries what the caller gave', async () => {
  const submitted = wire();
  const handle = await world.twinwrite.submit(changing, submitted);
  expect(await handle.outcome()).toMatchObject({ status: 'compensated' });
  const made = {
    ...submitted,
    at: new Date('2026-01-02T03:04:05.678Z'),
    until: new Date('2027-01-01'),
    cents: 9_007_199_254_740_993n,
    title: 'a title',
    priority: 'normal',
    tags: ['a', 'b'],
    size: 4,
  };
  for (const callback of ['token', 'entities', 'apply', 'mongo', 'undo']) {
    expect(given.get(callback)?.length).toBeGreaterThan(0);
    for (const input of given.get(callback) ?? []) expect(input).toEqual(made);
  }
  const workflow = world.temporal.workflow.getHandle(handle.workflowId);
  const { events } = await workflow.fetchHistory();
  const [payload] = events?.[0]?.workflowExecutionStartedEventAttributes?.input?.payloads ?? [];
  const request = payload && defaultPayloadConverter.fromPayload<{ input: unknown }>(payload);
  expect(request?.input).toEqual(submitted);
  expect((await workflow.describe()).memo?.['fingerprint']).toBe(fingerprintOf(submitted));
});

test.each([
  ['an asynchronous refinement', { code: 'taken' }, 'code', /is taken/],
  ['the end of a pipe', { size: 'far too long' }, 'size', /<=5/],
  ['a check before a transform', { cents: '1.5' }, 'cents', /pattern/],
  ['a date that is none', { until: 'soon' }, 'until', /date/i],
  ['a Date, which the wire would change', { until: new Date() }, 'until', /is a Date/],
])('clause 2: %s refuses with its path', async (_name, wrong, path, reason) => {
  const call = world.twinwrite.execute(changing, { ...wire(), ...wrong });
  await expect(call).rejects.toMatchObject({
    code: 'InvalidInput',
    fields: { issues: [{ path }] },
  });
  await expect(call).rejects.toThrow(reason);
});

test.each(Object.entries(anything))(
  'clause 2: what z.%s lets in is refused all the same, and pollutes nothing',
  async (name, schema) => {
    const definition = openTo(name, schema);
    const texts = [
      '{"data": {"__proto__": {"polluted": 1}}}',
      '{"__proto__": {"polluted": 1}, "data": 1}',
      '{"data": {"constructor": {"prototype": {"polluted": 1}}}}',
      '{"data": {"$where": "sleep(1000)"}}',
      '{"data": [{"_bsontype": "Code", "code": "1"}]}',
    ];
    for (const text of texts) {
      const call = world.twinwrite.execute(definition, JSON.parse(text) as { data: unknown });
      await expect(call).rejects.toMatchObject({ code: 'InvalidInput' });
    }
    expect(({} as { polluted?: unknown }).polluted).toBeUndefined();
    const harmless = await world.twinwrite.execute(definition, { data: { a: 1 } });
    expect(harmless).toMatchObject({ status: 'applied' });
  },
);

test('H17: operators and paths in ids and in values are data, in a document that is owned in part', async () => {
  const collection = world.mongo.db().collection<{ _id: string; data: unknown }>('owned');
  const ids = ['{"$ne": null}', '$where', 'a.b', '__proto__', 'constructor', "'; drop table owned"];
  // A token of its own each, as Temporal may be asked again in another run.
  const write = async (id: string, data: string) =>
    await world.twinwrite.execute(addressed, { id, data }, { token: randomUUID() });
  const outcomes = await Promise.all(ids.map((id) => write(id, '$set')));
  expect(outcomes.filter(({ status }) => status === 'applied')).toHaveLength(ids.length);
  await write('$ne', 'a.b');
  for (const id of ids) {
    expect(await collection.findOne({ _id: id })).toMatchObject({ data: { $set: { $ne: null } } });
  }
  expect(await collection.findOne({ _id: '$ne' })).toMatchObject({
    data: { 'a.b': { $ne: null } },
  });
  expect(await collection.countDocuments()).toBe(ids.length + 1);
});
