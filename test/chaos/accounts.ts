import type { Db } from 'mongodb';
import {
  defineCrossStoreUpdate,
  defineProjection,
  type PostgresLeg,
  type TransactionLeg,
} from 'twinwrite';
import { z } from 'zod';
import type { World } from '../support/world';
import { latency } from './latency';

/**
 * Payments on accounts, in which every effect that is lost, doubled or undone twice shows: nothing
 * in them is idempotent. PostgreSQL refuses 13, MongoDB refuses 666.
 */

const input = z.strictObject({ id: z.string(), account: z.string(), amount: z.int() });
type Payment = z.output<typeof input>;

export const REFUSED_BY_POSTGRES = 13;
export const REFUSED_BY_MONGO = 666;

export interface AccountDocument {
  readonly _id: string;
  readonly balance: number;
  readonly payments: readonly string[];
  /** In the projection form. */
  readonly _tw?: { readonly version: number };
}

export async function prepareAccounts(world: World): Promise<void> {
  await world.postgres.query(`
    create table account (id text primary key, balance int not null);
    create table payment (
      id text primary key, account text not null, number bigserial,
      amount int not null check (amount <> ${REFUSED_BY_POSTGRES}))`);
  await world.mongo.db().createCollection('accounts', {
    validator: { $nor: [{ last: REFUSED_BY_MONGO }] },
  });
}

/** Its images are late now and then, so that an older one may be written after a newer one. */
const accountsOf = (random: () => number) =>
  defineProjection({
    collection: 'accounts',
    image: async ({ postgres, ids }) => {
      const { rows } = await postgres.query<{
        id: string;
        balance: number;
        payments: string[];
        last: number;
      }>(
        `select a.id, a.balance, array_agg(p.id order by p.number) as payments,
              (array_agg(p.amount order by p.number desc))[1] as last
         from account a join payment p on p.account = a.id where a.id = any($1) group by a.id`,
        [ids],
      );
      if (random() < 0.25) await latency(random, 120);
      return rows.map(({ id, ...account }) => ({ _id: id, ...account }));
    },
  });

function postgresLeg(undoable: boolean): PostgresLeg<Payment, { number: string }> {
  return {
    apply: async ({ client, input: payment }) => {
      await client.query(
        `insert into account (id, balance) values ($1, $2) on conflict (id) do update set balance = account.balance + $2`,
        [payment.account, payment.amount],
      );
      const inserted = await client.query<{ number: string }>(
        'insert into payment (id, account, amount) values ($1, $2, $3) returning number',
        [payment.id, payment.account, payment.amount],
      );
      return { number: inserted.rows[0]?.number ?? '' };
    },
    ...(undoable ? { undo } : {}),
  };
}

const undo: NonNullable<PostgresLeg<Payment, unknown>['undo']> = async ({
  client,
  input: payment,
}) => {
  await client.query('update account set balance = balance - $2 where id = $1', [
    payment.account,
    payment.amount,
  ]);
  await client.query('delete from payment where id = $1', [payment.id]);
};

function transactionLeg(
  undoable: boolean,
): TransactionLeg<Payment, { number: string }>['transaction'] {
  return {
    apply: async ({ db, session, input: payment }) => {
      const { account: _id, amount, id } = payment;
      const change = { $inc: { balance: amount }, $push: { payments: id }, $set: { last: amount } };
      await collectionOf(db).updateOne({ _id }, change, { upsert: true, session });
    },
    ...(undoable ? { undo: undoTransaction } : {}),
  };
}

const undoTransaction: NonNullable<
  TransactionLeg<Payment, unknown>['transaction']['undo']
> = async ({ db, session, input: { account: _id, amount, id } }) => {
  const change = { $inc: { balance: -amount }, $pull: { payments: id } };
  await collectionOf(db).updateOne({ _id }, change, { session });
};

function collectionOf(db: Db) {
  return db.collection<{ _id: string; balance: number; last: number; payments: string[] }>(
    'accounts',
  );
}

/** The same payment in each form, with and without a way back. */
export function accountUpdates(
  form: 'projection' | 'transaction',
  undoable: boolean,
  random: () => number,
) {
  const accounts = accountsOf(random);
  return defineCrossStoreUpdate({
    name: `${form}${undoable ? 'Undoable' : ''}`,
    input,
    token: (payment) => payment.id,
    entities: ({ account }) => [`account:${account}`],
    // A short leg: what a test gives up on shall end soon.
    legTimeoutMillis: 2_000,
    postgres: postgresLeg(undoable),
    mongo:
      form === 'projection'
        ? { project: ({ account }) => [accounts.document(account)] }
        : { transaction: transactionLeg(undoable) },
  });
}
