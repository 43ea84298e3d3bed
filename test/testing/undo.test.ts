/**
 * Goal: an undo that does not undo, or undoes too much, is found, and so is a refusal that leaves
 * something behind (clauses 5 and 6). Method: one right definition, broken in one way after the
 * other, on the real stores; messages in full.
 */
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { openWorld, type World } from '../support/world';
import { ANN, BOB, check, complaint, deposit, prepareBank, takeBack, type Wrong } from './bank';

let world: World;

beforeAll(async () => {
  world = await openWorld();
  await prepareBank(world.postgres);
});

afterAll(async () => {
  await world.close();
});

const INCOMPLETE = [
  '   What it means: an update that is compensated leaves this behind, for ever and in silence.',
  '   What to do: make the undo take back every write of its apply, and nothing else. A column that may rightly differ, such as updated_at, goes into `ignore`: ["table.column"].',
];

test('an undo that forgets a table', async () => {
  const undo: Wrong['undo'] = async ({ client, input }) => {
    await client.query('delete from deposit where id = $1', [input.id]);
  };
  expect(await complaint(world, { undo })).toEqual([
    'The definition "deposit" is not sound.',
    '',
    '1. UndoIncomplete, shown by inputs[0]:',
    '     PostgreSQL table account, id = ann: balance is 100 before the update, 105 after its undo',
    '     MongoDB collection accounts, _id = "ann": balance is 100 before the update, 105 after its undo',
    ...INCOMPLETE,
  ]);
});

test('an undo that forgets a collection', async () => {
  const statement = ({ id, account }: { id: string; account: string }) => ({ _id: id, account });
  const mongo: Wrong['mongo'] = {
    transaction: {
      apply: async ({ db, session, input }) => {
        await db.collection<{ _id: string }>('statements').insertOne(statement(input), { session });
      },
      undo: async ({ db, session }) => {
        await db.collection('statements').deleteOne({ account: 'nobody' }, { session });
      },
    },
  };
  expect(await complaint(world, { mongo })).toEqual([
    'The definition "deposit" is not sound.',
    '',
    '1. UndoIncomplete, shown by inputs[0]:',
    '     MongoDB collection statements, _id = "deposit-1": not there before the update, but after its undo',
    ...INCOMPLETE,
  ]);
});

test('an undo that takes back what another update did', async () => {
  const undo: Wrong['undo'] = async ({ client, input }) => {
    await client.query('delete from deposit where id = $1', [input.id]);
    await client.query('update account set balance = 100 where true');
  };
  expect(await complaint(world, { undo }, { inputs: [ANN, BOB] })).toEqual([
    'The definition "deposit" is not sound.',
    '',
    '1. UndoIncomplete, shown by inputs[0]:',
    '     PostgreSQL table account, id = bob: balance is 107 with inputs[1] applied after the undo, 100 with it applied between apply and undo',
    ...INCOMPLETE,
    '',
    '2. UndoIncomplete, shown by inputs[1]:',
    '     PostgreSQL table account, id = ann: balance is 105 with inputs[0] applied after the undo, 100 with it applied between apply and undo',
    ...INCOMPLETE,
  ]);
});

test('an undo that fails', async () => {
  const undo: Wrong['undo'] = async ({ client }) => {
    await client.query('delete from deposits');
  };
  expect((await complaint(world, { undo })).slice(2, 4)).toEqual([
    '1. StepFailed, shown by inputs[0]:',
    '     the undo in Postgres failed: error: relation "deposits" does not exist',
  ]);
});

test('an undo that does something outside its transaction', async () => {
  const undo: Wrong['undo'] = async ({ client, input }) => {
    await takeBack(client, input);
    await world.postgres.query('insert into audit values ($1)', ['undone']);
    await client.query('select 1');
  };
  const ignore = ['audit'];
  expect((await complaint(world, { undo })).slice(2, 4)).toEqual([
    '1. UndoIncomplete, shown by inputs[0]:',
    '     PostgreSQL table audit, text = undone: not there before the update, but after its undo',
  ]);
  // What is ignored is ignored everywhere.
  expect(await check(world, { undo }, { ignore })).toMatchObject({ definition: 'deposit' });
});

test('what may rightly differ is named, and nothing else passes', async () => {
  await world.postgres.query('alter table account add column touched int not null default 0');
  const wrong: Wrong = {
    apply: async ({ client, input }) => {
      await client.query('update account set touched = touched + 1 where id = $1', [input.account]);
      return await deposit(client, input);
    },
  };
  expect((await complaint(world, wrong)).slice(2, 4)).toEqual([
    '1. UndoIncomplete, shown by inputs[0]:',
    '     PostgreSQL table account, id = ann: touched is 0 before the update, 1 after its undo',
  ]);
  await check(world, wrong, { ignore: ['account.touched'] });
  expect(await complaint(world, wrong, { ignore: ['account.balance'] })).toHaveLength(6);
});

test('a refusal that leaves a row', async () => {
  const apply: Wrong['apply'] = async ({ client, input, refuse }) => {
    if (input.amount > 0) return await deposit(client, input);
    await world.postgres.query('insert into audit values ($1)', [input.id]);
    return refuse('a deposit is more than nothing');
  };
  const refused = [{ ...ANN, id: 'deposit-3', amount: -1 }];
  expect(await complaint(world, { apply }, { refused })).toEqual([
    'The definition "deposit" is not sound.',
    '',
    '1. RefusalLeftTraces, shown by refused[0]:',
    '     PostgreSQL table audit, text = deposit-3: not there before the update, but after its refusal',
    '   What it means: `refused` promises that nothing was ever written, in either store.',
    '   What to do: write only through `client`, which rolls back when you refuse.',
  ]);
});
