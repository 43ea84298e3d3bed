/**
 * Goal: what a callback hands over is held to the same rules as an input: a result that JSON or a
 * store would change, and an image that MongoDB cannot hold, are refused with nothing written;
 * everything else is recorded as it is (clause 2, F38). Method: `apply` and `image` hand over
 * whatever the test says, the table of hazards among it.
 */
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { Binary, BSON, Decimal128, Long, ObjectId } from 'mongodb';
import { defineCrossStoreUpdate, defineProjection, type Image } from 'twinwrite';
import { z } from 'zod';
import { openWorld, type RunningWorker, type World } from '../support/world';
import { HAZARDS, type Hazard } from './hazards';

const results = new Map<string, unknown>();
const images = new Map<string, object>();

const documents = defineProjection({
  collection: 'handed',
  image: async ({ postgres, ids }) => {
    const { rows } = await postgres.query<{ id: string }>(
      'select id from handed where id = any($1)',
      [ids],
    );
    return rows.map(({ id }): Image => ({ ...images.get(id), _id: id }));
  },
});

const hand = defineCrossStoreUpdate({
  name: 'hand',
  input: z.strictObject({ id: z.string() }),
  token: ({ id }) => id,
  postgres: {
    apply: async ({ client, input: { id } }): Promise<unknown> => {
      await client.query('insert into handed (id) values ($1)', [id]);
      return results.get(id);
    },
  },
  mongo: { project: ({ id }) => [documents.document(id)] },
});

let world: World;
let worker: RunningWorker;

beforeAll(async () => {
  world = await openWorld();
  await world.postgres.query('create table handed (id text primary key)');
  worker = await world.startWorker({ updates: [hand] });
});

afterAll(async () => {
  await worker.stop();
  await world.close();
});

const bothOf = async (id: string) => {
  const row = await world.postgres.query('select from handed where id = $1', [id]);
  const document = await world.mongo
    .db()
    .collection<{ _id: string }>('handed')
    .findOne({ _id: id }, { promoteValues: false, projection: { _tw: 0, _id: 0 } });
  return { row: row.rowCount, document };
};

/** Runs all rows at once; each test waits for its own. */
function outcomesOf<Row>(rows: readonly Row[], prepare: (row: Row, id: string) => void) {
  const running = new Map<Row, Promise<{ id: string; outcome: unknown }>>();
  beforeAll(() => {
    for (const row of rows) {
      const id = randomUUID();
      prepare(row, id);
      const run = world.twinwrite.execute(hand, { id }).then((outcome) => ({ id, outcome }));
      run.catch(() => {});
      running.set(row, run);
    }
  });
  return async (row: Row) => await (running.get(row) ?? Promise.reject(new Error('not run')));
}

describe('a result', () => {
  const rows = HAZARDS.filter((hazard) => 'value' in hazard && hazard.value !== undefined);
  const outcomeOf = outcomesOf(rows, ({ value }, id) => results.set(id, value));
  // In an input the value lies a level deeper than here; a Promise is awaited.
  const fits = ({ name }: Hazard) => !/33 levels|Promise/.test(name);
  const refused = rows.filter((row) => row.refused && fits(row));
  const carried = rows.filter((row) => !row.refused);

  test.each(refused)('clause 2: with $name is refused, and nothing is written', async (row) => {
    const { id, outcome } = await outcomeOf(row);
    expect(outcome).toMatchObject({
      status: 'refused',
      reason: {
        code: 'ResultNotRecordable',
        message: expect.stringMatching(row.refused?.reason ?? /never/),
      },
    });
    expect(await bothOf(id)).toEqual({ row: 0, document: null });
  });

  test.each(carried)('clause 3: with $name is what every duplicate gets', async (row) => {
    const { id, outcome } = await outcomeOf(row);
    expect(outcome).toEqual({ status: 'applied', result: row.carried });
    const again = await world.temporal.workflow.execute('crossStoreUpdate', {
      workflowId: `forgotten/${id}`,
      taskQueue: world.name,
      args: [{ definition: hand.name, token: id, input: { id } }],
    });
    expect(again).toEqual(outcome);
  });

  test('clause 3: that is nothing is null, for everybody', async () => {
    const outcome = await world.twinwrite.execute(hand, { id: randomUUID() });
    expect(outcome).toEqual({ status: 'applied', result: null });
  });
});

const nested = (levels: number): unknown => (levels === 0 ? 1 : { down: nested(levels - 1) });

describe('an image', () => {
  const circle: Record<string, unknown> = {};
  circle['self'] = circle;
  const unstorable: [string, object, RegExp][] = [
    ['a key with U+0000', { a: { 'b\u0000': 1 } }, /a\.b.* key that BSON cannot hold/],
    ['half a surrogate pair', { a: ['\ud800'] }, /a\.0 has half of a surrogate pair/],
    ['half a surrogate pair in a key', { '\ud800': 1 }, /key that BSON cannot hold/],
    ['a bigint beyond 64 bits', { cents: 2n ** 63n }, /cents is a bigint beyond 64 bits/],
    ['an invalid Date', { at: new Date(Number.NaN) }, /at is an invalid Date/],
    ['a function', { a: () => 1 }, /a is a function/],
    ['a symbol', { a: Symbol('s') }, /a is a symbol/],
    ['a Set', { tags: new Set(['a']) }, /tags is a Set/],
    ['a circle', { circle }, /deeper than 100 levels/],
    ['101 levels', { down: nested(101) }, /deeper than 100 levels/],
    ['data that says it is a BSON type', { a: { _bsontype: 'Code', code: '1' } }, /as BSON/],
    ['data that says it is an ObjectId', { a: { _bsontype: 'ObjectId' } }, /as BSON/],
    ['17 MiB', { a: 'x'.repeat(17 * 1024 * 1024) }, /it has 1\d+ bytes/],
  ];
  const outcomeOfUnstorable = outcomesOf(unstorable, ([, image], id) => images.set(id, image));

  test.each(unstorable)('clause 2: with %s is refused, and nothing is written', async (...row) => {
    const found = unstorable.find(([name]) => name === row[0]) ?? row;
    const { id, outcome } = await outcomeOfUnstorable(found);
    expect(outcome).toMatchObject({
      status: 'refused',
      reason: { code: 'RefusedByMongo', message: expect.stringMatching(row[2]) },
    });
    expect(await bothOf(id)).toEqual({ row: 0, document: null });
  });

  const storable: [string, object][] = [
    [
      'the types of BSON',
      { o: new ObjectId(), l: Long.MAX_VALUE, d: Decimal128.fromString('1.50') },
    ],
    [
      'a Date, bytes and a RegExp',
      { at: new Date(0), bytes: new Binary(Buffer.from('x')), r: /a/i },
    ],
    ['the greatest bigints', { a: 2n ** 63n - 1n, b: -(2n ** 63n) }],
    ['99 levels', { down: nested(98) }],
    ['operators as data', { a: { $ne: null, $where: 'sleep(1000)' }, b: [{ $set: { c: 1 } }] }],
    ['paths as keys', { a: { 'b.c': 1, '': 2 }, 'd.e': 3 }],
    ['names that drivers ask for', { toBSON: 'x', toJSON: 'y', toString: 'z' }],
  ];
  const outcomeOfStorable = outcomesOf(storable, ([, image], id) => images.set(id, image));

  test.each(storable)('clause 2: with %s is written as it is', async (name) => {
    const found = storable.find((row) => row[0] === name) as (typeof storable)[number];
    const { id, outcome } = await outcomeOfStorable(found);
    expect(outcome).toMatchObject({ status: 'applied' });
    const { document } = await bothOf(id);
    const asWritten = BSON.deserialize(BSON.serialize(found[1]), { promoteValues: false });
    expect(document).toEqual(asWritten);
  });
});
