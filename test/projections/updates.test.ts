/**
 * Goal: updates that give each other their unique values all end applied, and one that MongoDB alone
 * finds to be a duplicate is compensated (clauses 5 and 6). Method: real updates through a worker,
 * many at once, on a table whose constraint is checked at COMMIT.
 */
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { defineCrossStoreUpdate, defineProjection } from 'twinwrite';
import { z } from 'zod';
import { openWorld, type World } from '../support/world';

const seats = defineProjection({
  collection: 'seats',
  image: async ({ postgres, ids }) => {
    const { rows } = await postgres.query<{ id: string; place: number; badge: string | null }>(
      'select id, place, badge from seat where id = any($1)',
      [ids],
    );
    return rows.map(({ id, place, badge }) => ({ _id: id, place, ...(badge && { badge }) }));
  },
});

/** Two people change their places. */
const changePlaces = defineCrossStoreUpdate({
  name: 'changePlaces',
  input: z.strictObject({ token: z.string(), one: z.string(), other: z.string() }),
  token: ({ token }) => token,
  legTimeoutMillis: 4_000,
  postgres: {
    apply: async ({ client, input: { one, other } }) => {
      await client.query(
        `update seat s set place = o.place from seat o
          where (s.id, o.id) in (($1, $2), ($2, $1))`,
        [one, other],
      );
    },
  },
  mongo: { project: ({ one, other }) => [seats.document(one), seats.document(other)] },
});

/** A badge is unique in MongoDB alone, which is a mistake that users make. */
const pinBadge = defineCrossStoreUpdate({
  name: 'pinBadge',
  input: z.strictObject({ id: z.string(), badge: z.string() }),
  token: ({ id, badge }) => `${id}/${badge}`,
  postgres: {
    apply: async ({ client, input: { id, badge } }) => {
      await client.query('update seat set badge = $2 where id = $1', [id, badge]);
    },
    undo: async ({ client, input: { id } }) => {
      await client.query('update seat set badge = null where id = $1', [id]);
    },
  },
  mongo: { project: ({ id }) => [seats.document(id)] },
});

const IDS = ['a', 'b', 'c', 'd', 'e'];

describe('updates of documents with unique values', () => {
  let world: World;
  let stop: () => Promise<void> = async () => {};

  beforeAll(async () => {
    world = await openWorld();
    await world.postgres.query(`
      create table seat (id text primary key, place int not null unique deferrable initially deferred, badge text);
      insert into seat select id, place from unnest('{${IDS.join()}}'::text[]) with ordinality s(id, place)`);
    const collection = await world.mongo.db().createCollection('seats');
    const partialFilterExpression = seats.live;
    await collection.createIndex({ place: 1 }, { unique: true, partialFilterExpression });
    await collection.createIndex({ badge: 1 }, { unique: true, sparse: true });
    const worker = await world.startWorker({
      updates: [changePlaces, pinBadge],
      projections: [seats],
    });
    stop = worker.stop;
  });

  afterAll(async () => {
    await stop();
    await world.close();
  });

  const inPostgres = async () =>
    (await world.postgres.query('select id as _id, place from seat order by id')).rows;
  const inMongo = async () =>
    await world.mongo
      .db()
      .collection('seats')
      .find(seats.live, { projection: { place: 1 }, sort: { _id: 1 } })
      .toArray();

  test('clause 6, F5: everybody changes places with everybody at once: all are applied, and both stores agree', async () => {
    const pairs = IDS.flatMap((one) =>
      IDS.filter((other) => other > one).map((other) => ({ one, other })),
    );
    // Far below the pause before a parked update is tried again: nobody waits for that.
    const within = { timeoutMillis: 20_000 };
    const outcomes = await Promise.all(
      pairs.map(
        async (pair) =>
          await world.twinwrite.execute(changePlaces, { token: randomUUID(), ...pair }, within),
      ),
    );
    expect(new Set(outcomes.map(({ status }) => status))).toEqual(new Set(['applied']));
    const documents = await inMongo();
    expect(documents.length).toBe(IDS.length);
    expect(documents).toEqual(await inPostgres());
  });

  test('clause 5: a duplicate that Postgres let pass, and that stays one, is compensated', async () => {
    const badge = randomUUID();
    expect(await world.twinwrite.execute(pinBadge, { id: 'a', badge })).toMatchObject({
      status: 'applied',
    });
    const outcome = await world.twinwrite.execute(pinBadge, { id: 'b', badge });
    expect(outcome).toEqual({
      status: 'compensated',
      reason: {
        code: 'RefusedByMongo',
        message: 'MongoDB refused the data (code 11000, duplicate key, unique index on badge)',
        constraint: 'unique index on badge',
      },
    });
    const { rows } = await world.postgres.query('select id from seat where badge is not null');
    expect(rows).toEqual([{ id: 'a' }]);
    const b = await world.mongo.db().collection<{ _id: string }>('seats').findOne({ _id: 'b' });
    expect(b).not.toHaveProperty('badge');
  });
});
