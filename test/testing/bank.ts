import type { Pool } from 'pg';
import {
  type CrossStoreUpdate,
  type CrossStoreUpdateOptions,
  defineCrossStoreUpdate,
  defineProjection,
  isTwinwriteError,
  type PostgresClient,
  type Projection,
  type ProjectionOptions,
} from 'twinwrite';
import { type CheckOptions, type CheckReport, checkDefinition } from 'twinwrite/testing';
import { z } from 'zod';
import type { World } from '../support/world';

/** A bank in small: accounts are documents, deposits are rows behind them. */

const opening = z.strictObject({ account: z.string() });

const input = z.strictObject({
  id: z.string(),
  account: z.string(),
  amount: z.int().max(1_000),
  notes: z.record(z.string(), z.int()).optional(),
});

type Input = z.output<typeof input>;
type Deposit = CrossStoreUpdate<typeof input, { balance: number }>;
type DepositOptions = CrossStoreUpdateOptions<typeof input, { balance: number }>;

/** What a wrong definition has instead of the right one's parts. */
export interface Wrong {
  readonly token?: DepositOptions['token'];
  readonly apply?: DepositOptions['postgres']['apply'];
  readonly undo?: DepositOptions['postgres']['undo'];
  readonly mongo?: DepositOptions['mongo'];
  readonly image?: ProjectionOptions['image'];
}

type AccountRow = {
  readonly _id: string;
  readonly balance: number;
  readonly deposits: number;
};

const IMAGE = `
  select a.id as _id, a.balance, (select count(*)::int from deposit d where d.account = a.id) as deposits
  from account a where a.id = any($1)`;

export async function readAccounts(postgres: PostgresClient, ids: readonly string[]) {
  return (await postgres.query<AccountRow>(IMAGE, [ids])).rows;
}

function accountsWith(image?: ProjectionOptions['image']): Projection {
  return defineProjection({
    collection: 'accounts',
    image: image ?? (({ postgres, ids }) => readAccounts(postgres, ids)),
  });
}

/** What the samples build on: the account is in both stores. */
function openAccountWith(accounts: Projection) {
  return defineCrossStoreUpdate({
    name: 'openAccount',
    input: opening,
    token: ({ account }) => account,
    postgres: {
      apply: async ({ client, input: { account } }) => {
        await client.query('insert into account (id, balance) values ($1, 100)', [account]);
      },
    },
    mongo: { project: ({ account }) => [accounts.document(account)] },
  });
}

export async function deposit(client: PostgresClient, { id, account, amount }: Input) {
  await client.query('insert into deposit (id, account, amount) values ($1, $2, $3)', [
    id,
    account,
    amount,
  ]);
  const { rows } = await client.query<{ balance: number }>(
    'update account set balance = balance + $2 where id = $1 returning balance',
    [account, amount],
  );
  return { balance: rows[0]?.balance ?? 0 };
}

export async function takeBack(client: PostgresClient, { id, account, amount }: Input) {
  await client.query('delete from deposit where id = $1', [id]);
  await client.query('update account set balance = balance - $2 where id = $1', [account, amount]);
}

/** The right definition, but for what is wrong. */
function depositWith(wrong: Wrong, accounts: Projection): Deposit {
  return defineCrossStoreUpdate({
    name: 'deposit',
    input,
    token: wrong.token ?? (({ id }) => id),
    entities: ({ account }) => [`account:${account}`],
    postgres: {
      apply:
        wrong.apply ??
        (async ({ client, input: given, refuse }) => {
          if (given.amount <= 0) return refuse('a deposit is more than nothing');
          return await deposit(client, given);
        }),
      undo: wrong.undo ?? (({ client, input: given }) => takeBack(client, given)),
    },
    mongo: wrong.mongo ?? { project: ({ account }) => [accounts.document(account)] },
  });
}

export async function prepareBank(postgres: Pool): Promise<void> {
  await postgres.query(`
    create table account (id text primary key, balance int not null);
    create table deposit (
      number bigint generated always as identity primary key, id text not null, account text not null references account,
      amount int not null, at timestamptz not null default now());
    create table audit (text text)`);
}

export const ANN = { id: 'deposit-1', account: 'ann', amount: 5 };
export const BOB = { id: 'deposit-2', account: 'bob', amount: 7 };

export type BankOptions = Partial<CheckOptions<z.input<typeof input>>>;

/** Checks the definition with one deposit to Ann; she and Bob have accounts in both stores. */
export async function check(
  { postgres, mongo }: Pick<World, 'postgres' | 'mongo'>,
  wrong: Wrong,
  options: BankOptions = {},
): Promise<CheckReport> {
  const accounts = accountsWith(wrong.image);
  const update = openAccountWith(accounts);
  const given = ['ann', 'bob'].map((account) => ({ update, input: { account } }));
  const samples = { inputs: [ANN], given };
  return await checkDefinition(depositWith(wrong, accounts), {
    ...samples,
    postgres,
    mongo,
    ...options,
  });
}

/** What a check says of a definition that is wrong, in lines. */
export async function complaint(
  world: World,
  wrong: Wrong,
  options: BankOptions = {},
): Promise<string[]> {
  const answer = await check(world, wrong, options).catch((error: Error) => error);
  if (!isTwinwriteError(answer, 'UnsoundDefinition')) {
    throw new Error('nothing was found', { cause: answer });
  }
  return answer.message.split('\n');
}
