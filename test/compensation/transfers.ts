import { randomUUID } from 'node:crypto';
import {
  type CrossStoreUpdate,
  defineCrossStoreUpdate,
  defineProjection,
  type PostgresLeg,
  type TransactionLeg,
} from 'twinwrite';
import { z } from 'zod';
import type { World } from '../support/world';
import { Refusal, type Steering } from './steering';

/**
 * Points put on an account, in every shape that an update can have: both forms of Mongo leg, with a
 * way back and without. Each store keeps the entry and the account's balance: whatever happens
 * twice, or is undone twice, shows in the balance.
 */
const input = z.strictObject({ id: z.string(), account: z.string(), points: z.int() });

export type Transfer = z.output<typeof input>;
export type Kind = CrossStoreUpdate<typeof input, { readonly account: string }>;

/** What the validators of MongoDB refuse. */
export const TOO_MANY = 1_000;

/** An account that MongoDB does not take back to nothing: its undo cannot be written there. */
export const FRAGILE = 'fragile';

const COLLECTIONS = ['entries', 'balances', 'entries_tx', 'balances_tx'];

export async function prepareTransfers({ postgres, mongo }: World): Promise<void> {
  await postgres.query(`
    create table entry (id text primary key, account text not null, points int not null check (points <> 13));
    create table balance (account text primary key, points int not null)`);
  for (const name of COLLECTIONS) await mongo.db().createCollection(name);
  await tolerate({ mongo }, []);
}

/** Makes MongoDB refuse what it refuses, but for these documents. */
export async function tolerate(
  { mongo }: Pick<World, 'mongo'>,
  ids: readonly string[],
): Promise<void> {
  const fragile = { _id: { $regex: `^${FRAGILE}` }, points: 0 };
  const rules = { points: { $not: { $gte: TOO_MANY } }, $nor: [fragile] };
  const validator = { $or: [{ _id: { $in: ids } }, rules] };
  for (const collMod of COLLECTIONS) await mongo.db().command({ collMod, validator });
}

/** An update of its own, on an account of its own unless named. */
export function transfer(change: Partial<Transfer> = {}): Transfer {
  const id = randomUUID();
  return { id, account: id, points: 5, ...change };
}

export type Kinds = ReturnType<typeof transferKinds>;

export function transferKinds(steering: Steering, legTimeoutMillis = 10_000) {
  const { apply, undo } = postgresLeg(steering);
  const { project } = projectionLeg(steering);
  const { transaction } = transactionLeg(steering);
  const define = (
    name: string,
    postgres: PostgresLeg<Transfer, { account: string }>,
    mongo: { project: typeof project } | { transaction: Partial<typeof transaction> },
  ): Kind =>
    defineCrossStoreUpdate({
      name,
      legTimeoutMillis,
      input,
      token: ({ id }) => id,
      entities: ({ account }) => [`account:${account}`],
      postgres,
      mongo: mongo as { project: typeof project },
    });
  return {
    projection: define('projection', { apply, undo }, { project }),
    projectionOnly: define('projectionOnly', { apply }, { project }),
    transaction: define('transaction', { apply, undo }, { transaction }),
    /** Postgres can be undone, MongoDB cannot. */
    transactionHalf: define(
      'transactionHalf',
      { apply, undo },
      { transaction: { apply: transaction.apply } },
    ),
    transactionOnly: define(
      'transactionOnly',
      { apply },
      { transaction: { apply: transaction.apply } },
    ),
  };
}

function postgresLeg(steering: Steering) {
  const change = /*sql*/ `update balance set points = points + $2 where account = $1`;
  return {
    apply: async ({ client, input: { id, account, points }, refuse }) => {
      await client.query('insert into entry (id, account, points) values ($1, $2, $3)', [
        id,
        account,
        points,
      ]);
      await client.query('insert into balance values ($1, 0) on conflict do nothing', [account]);
      await client.query(change, [account, points]);
      await steering.pass('apply', id).catch((error: unknown) => {
        if (error instanceof Refusal) refuse(error.message);
        throw error;
      });
      return { account };
    },
    undo: async ({ client, input: { id, points }, result: { account } }) => {
      await client.query('delete from entry where id = $1', [id]);
      await client.query(change, [account, -points]);
      await steering.pass('undo', id);
    },
  } satisfies PostgresLeg<Transfer, { account: string }>;
}

function projectionLeg(steering: Steering) {
  const entries = defineProjection({
    collection: 'entries',
    image: async ({ postgres, ids }) => {
      const { rows } = await postgres.query<{ id: string; points: number }>(
        'select id, points from entry where id = any($1)',
        [ids],
      );
      for (const id of ids) await steering.pass('image', id);
      return rows.map(({ id, points }) => ({ _id: id, points }));
    },
  });
  const balances = defineProjection({
    collection: 'balances',
    image: async ({ postgres, ids }) => {
      const { rows } = await postgres.query<{ account: string; points: number }>(
        'select account, points from balance where account = any($1)',
        [ids],
      );
      return rows.map(({ account, points }) => ({ _id: account, points }));
    },
  });
  return {
    project: ({ id, account }: Transfer) => [entries.document(id), balances.document(account)],
  };
}

export interface Document {
  readonly _id: string;
  readonly points: number;
}

function transactionLeg(steering: Steering) {
  return {
    transaction: {
      apply: async ({ db, session, input: { id, account, points } }) => {
        await db.collection<Document>('entries_tx').insertOne({ _id: id, points }, { session });
        await db
          .collection<Document>('balances_tx')
          .updateOne({ _id: account }, { $inc: { points } }, { session, upsert: true });
        await steering.pass('mongo apply', id);
      },
      undo: async ({ db, session, input: { id, points }, result: { account } }) => {
        await db.collection<Document>('entries_tx').deleteOne({ _id: id }, { session });
        await db
          .collection<Document>('balances_tx')
          .updateOne({ _id: account }, { $inc: { points: -points } }, { session });
        await steering.pass('mongo undo', id);
      },
    },
  } satisfies TransactionLeg<Transfer, { account: string }>;
}

/** What an operator sees in the ledger's view. */
export async function stateOf({ postgres }: World, id: string): Promise<string | undefined> {
  const { rows } = await postgres.query<{ state: string }>(
    'select state from twinwrite.updates where token = $1',
    [id],
  );
  return rows[0]?.state;
}
