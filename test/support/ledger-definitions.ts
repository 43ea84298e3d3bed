import { defineCrossStoreUpdate, defineProjection, type PostgresLeg } from 'twinwrite';
import { z } from 'zod';
import type { World } from './world';

/**
 * A transfer of points, small enough to read at a glance, in the two forms of Mongo leg. Hooks let
 * a test steer it from outside, by token.
 */

const input = z.strictObject({ id: z.string().min(1), account: z.string(), points: z.int() });

export interface Hooks {
  /** Runs inside the Postgres leg, after its write. */
  postgres?: (id: string) => Promise<void> | void;
  /** Runs inside the transaction-form Mongo leg, after its write. */
  mongo?: (id: string) => Promise<void> | void;
  /** Runs inside the Postgres undo, after its write. */
  undo?: (id: string) => Promise<void> | void;
}

export async function prepareLedger(
  world: World,
  collections: readonly string[] = ['entries'],
): Promise<void> {
  await world.postgres.query(`
    create table entry (id text primary key, account text not null, points int not null check (points <> 13))`);
  const validator = { points: { $not: { $gte: 1_000 } } };
  for (const collection of collections) {
    await world.mongo.db().createCollection(collection, { validator });
  }
}

type Entry = z.output<typeof input>;

function postgresLeg(hooks: Hooks): PostgresLeg<Entry, { account: string }> {
  return {
    apply: async ({ client, input: entry, refuse }) => {
      if (entry.points === 0) refuse('nothing to do');
      await client.query('insert into entry (id, account, points) values ($1, $2, $3)', [
        entry.id,
        entry.account,
        entry.points,
      ]);
      await hooks.postgres?.(entry.id);
      return { account: entry.account };
    },
    undo: async ({ client, input: entry }) => {
      await client.query('delete from entry where id = $1', [entry.id]);
      await hooks.undo?.(entry.id);
    },
  };
}

export function projectionEntry(hooks: Hooks = {}, collection = 'entries') {
  const entries = defineProjection({
    collection,
    image: async ({ postgres, ids }) => {
      const { rows } = await postgres.query<{ id: string; account: string; points: number }>(
        'select id, account, points from entry where id = any($1)',
        [ids],
      );
      return rows.map(({ id, account, points }) => ({ _id: id, account, points }));
    },
  });
  return defineCrossStoreUpdate({
    name: 'projectionEntry',
    input,
    token: (entry) => entry.id,
    entities: (entry) => [`account:${entry.account}`],
    postgres: postgresLeg(hooks),
    mongo: { project: (entry) => [entries.document(entry.id)] },
  });
}

export function transactionEntry(hooks: Hooks = {}) {
  return defineCrossStoreUpdate({
    name: 'transactionEntry',
    input,
    token: (entry) => entry.id,
    entities: (entry) => [`account:${entry.account}`],
    postgres: postgresLeg(hooks),
    mongo: {
      transaction: {
        apply: async ({ db, session, input: entry, refuse }) => {
          if (entry.points < 0) refuse('no negative points in MongoDB');
          await db
            .collection<{ _id: string }>('entries')
            .insertOne({ _id: entry.id, points: entry.points } as { _id: string }, { session });
          await hooks.mongo?.(entry.id);
        },
        undo: async ({ db, session, input: entry }) => {
          await db.collection<{ _id: string }>('entries').deleteOne({ _id: entry.id }, { session });
        },
      },
    },
  });
}
