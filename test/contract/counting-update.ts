import type { Db } from 'mongodb';
import type { Pool } from 'pg';
import {
  type CrossStoreUpdate,
  defineCrossStoreUpdate,
  defineProjection,
  type Form,
  type MongoTransaction,
  type TransactionLeg,
} from 'twinwrite';
import { z } from 'zod';
import type { AnyCrossStoreUpdate } from '../../src/domain/definition';
import type { World } from '../support/world';
import type { Steering } from './steering';

/**
 * An update whose every effect is one more row, and one more document or a count in one: what ran
 * twice shows as two, and no lock on the user's own rows stands in for the ledger's.
 */
const countingInput = z.strictObject({
  id: z.string().min(1),
  points: z.int().default(1),
  note: z.string().optional(),
});

type CountingInput = z.output<typeof countingInput>;
type CountingUpdate = CrossStoreUpdate<typeof countingInput>;

/** Which legs have a way back. */
type Undo = 'both' | 'postgres' | 'none';

export interface CountingOptions {
  readonly name: string;
  readonly form: Form;
  readonly undo?: Undo;
  readonly steering: Steering;
  readonly entities?: (input: CountingInput) => readonly string[];
}

export function countingUpdate(options: CountingOptions): CountingUpdate {
  const { name, form, undo = 'both', steering } = options;
  return defineCrossStoreUpdate({
    name,
    input: countingInput,
    token: (input) => input.id,
    // Its own for each token: what waits here waits for its own token only.
    // Long enough for a test to hold a leg open until somebody else has given up waiting for it.
    legTimeoutMillis: 6_000,
    entities: options.entities ?? ((input) => [`counted:${input.id}`]),
    postgres: {
      apply: async ({ client, input, refuse }): Promise<unknown> => {
        await client.query(RECORD_EFFECT, [input.id, 'applied', input.points]);
        const steered = await steering.visit('postgres.apply', input.id, { client, refuse });
        return steered ?? { points: input.points };
      },
      ...(undo === 'none'
        ? {}
        : {
            undo: async ({ client, input }) => {
              await client.query(RECORD_EFFECT, [input.id, 'undone', input.points]);
              await steering.visit('postgres.undo', input.id, { client });
            },
          }),
    },
    mongo:
      form === 'projection'
        ? projectionLeg(name, steering)
        : transactionLeg(name, steering, undo === 'both'),
  });
}

const RECORD_EFFECT = 'insert into effect (key, kind, points) values ($1, $2, $3)';

/** A document is there while more was applied than undone, and says how much of either. */
function projectionLeg(collection: string, steering: Steering) {
  const counts = defineProjection({
    collection,
    image: async ({ postgres, ids }) => {
      const { rows } = await postgres.query<{ _id: string; applied: number; undone: number }>(
        `select key as _id, (count(*) filter (where kind = 'applied'))::int as applied,
            (count(*) filter (where kind = 'undone'))::int as undone
          from effect where key = any($1) group by key
          having count(*) filter (where kind = 'applied') > count(*) filter (where kind = 'undone')`,
        [ids],
      );
      const more = new Map<string, unknown>();
      for (const id of ids) more.set(id, await steering.visit('image', id, { client: postgres }));
      return rows.map((row) => ({
        ...row,
        ...steering.mark(row._id),
        ...(more.get(row._id) as object | undefined),
      }));
    },
  });
  return { project: ({ id }: CountingInput) => [counts.document(id)] };
}

function transactionLeg(
  collection: string,
  steering: Steering,
  undoable: boolean,
): TransactionLeg<CountingInput, unknown> {
  const record = async ({ db, session }: MongoTransaction, key: string, kind: string) => {
    await db.collection(collection).insertOne({ key, kind, ...steering.mark(key) }, { session });
  };
  const undo: NonNullable<TransactionLeg<CountingInput, unknown>['transaction']['undo']> = async (
    context,
  ) => {
    await record(context, context.input.id, 'undone');
    await steering.visit('mongo.undo', context.input.id, context);
  };
  return {
    transaction: {
      apply: async (context) => {
        await record(context, context.input.id, 'applied');
        await steering.visit('mongo.apply', context.input.id, context);
      },
      ...(undoable ? { undo } : {}),
    },
  };
}

/** The table and the collections; the validator refuses what `Steering` has marked. */
export async function prepareCounting(
  world: World,
  updates: readonly AnyCrossStoreUpdate[],
): Promise<void> {
  await world.postgres.query(`
    create table effect (
      id bigint generated always as identity primary key,
      key text not null, kind text not null, points int not null check (points <> 13));
    create table once (points int, constraint once_points unique (points) deferrable initially deferred)`);
  for (const { name } of updates) {
    await world.mongo.db().createCollection(name, { validator: { refused: { $ne: true } } });
  }
}

export interface Effects {
  readonly applied: number;
  readonly undone: number;
}

export async function effectsInPostgres(postgres: Pool, token: string): Promise<Effects> {
  const { rows } = await postgres.query<Effects>(
    `select (count(*) filter (where kind = 'applied'))::int as applied,
        (count(*) filter (where kind = 'undone'))::int as undone from effect where key = $1`,
    [token],
  );
  return rows[0] ?? { applied: 0, undone: 0 };
}

export async function effectsInMongo(
  db: Db,
  { name, form }: AnyCrossStoreUpdate,
  token: string,
): Promise<Effects> {
  const majority = { readConcern: 'majority' } as const;
  if (form === 'transaction') {
    const found = await db.collection(name).find({ key: token }, majority).toArray();
    const count = (kind: string) => found.filter((effect) => effect['kind'] === kind).length;
    return { applied: count('applied'), undone: count('undone') };
  }
  const document = await db
    .collection<{ _id: string; applied: number; undone: number; _tw: { live: boolean } }>(name)
    .findOne({ _id: token }, majority);
  if (document === null) return { applied: 0, undone: 0 };
  // A tombstone stands for what is gone: as much undone as applied.
  if (!document._tw.live) return { applied: 1, undone: 1 };
  return { applied: document.applied, undone: document.undone };
}
