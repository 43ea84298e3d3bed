/**
 * Goal: a definition whose callbacks cannot be run again is found, and its author is told what to do
 * (clauses 3 and 4, F37). Method: one right definition, broken in one way after the other, on the
 * real stores; messages in full.
 */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import type { PostgresClient } from 'twinwrite';
import { openWorld, type World } from '../support/world';
import { check, complaint, deposit, prepareBank, takeBack, type Wrong } from './bank';

let world: World;

beforeAll(async () => {
  world = await openWorld();
  await prepareBank(world.postgres);
});

afterAll(async () => {
  await world.close();
});

describe('effects outside the transaction', () => {
  const OUTSIDE = [
    '   What it means: an attempt that fails leaves this behind, and its retry does it once more: it happens twice, or for an update that never was.',
    '   What to do: in Postgres write through the `client` that the callback gets and through nothing else; in MongoDB pass `{ session }` to every operation; call no other system from a callback.',
  ];

  test('a row written through the pool', async () => {
    const apply: Wrong['apply'] = async ({ client, input }) => {
      await world.postgres.query('insert into audit values ($1)', [input.id]);
      return await deposit(client, input);
    };
    expect(await complaint(world, { apply })).toEqual([
      'The definition "deposit" is not sound.',
      '',
      '1. OutsideTransaction, shown by inputs[0]:',
      '     the worker died before its commit in PostgreSQL (the Postgres leg):',
      '     PostgreSQL table audit, text = deposit-1: not there before the attempt, but after its rollback',
      ...OUTSIDE,
    ]);
  });

  test('a document written without the session', async () => {
    const mongo: Wrong['mongo'] = {
      transaction: {
        apply: async ({ db, session, input }) => {
          await db.collection('log').insertOne({ of: input.id });
          await db.collection('statements').insertOne({ of: input.id }, { session });
        },
        undo: async ({ db, session, input }) => {
          await db.collection('statements').deleteOne({ of: input.id }, { session });
        },
      },
    };
    expect(await complaint(world, { mongo })).toEqual([
      'The definition "deposit" is not sound.',
      '',
      '1. OutsideTransaction, shown by inputs[0]:',
      '     the worker died before its commit in MongoDB (the Mongo leg):',
      expect.stringMatching(
        /^ {5}MongoDB collection log, _id = .+: not there before the attempt, but after its rollback$/,
      ),
      ...OUTSIDE,
    ]);
  });
});

describe('callbacks that fail', () => {
  const FAILED = [
    '   What it means: in production the update would be parked: retried slowly, holding its entities, until somebody deploys a mended definition.',
    '   What to do: mend what the error says. To turn an input away for good, call `refuse(…)` instead of throwing.',
  ];

  test('a bug', async () => {
    const apply = async () => await Promise.reject(new TypeError('account is not a function'));
    expect(await complaint(world, { apply })).toEqual([
      'The definition "deposit" is not sound.',
      '',
      '1. StepFailed, shown by inputs[0]:',
      '     the Postgres leg failed: TypeError: account is not a function',
      ...FAILED,
    ]);
  });

  test('a client that is kept (F37)', async () => {
    let kept: PostgresClient | undefined;
    const apply: Wrong['apply'] = async ({ client, input }) => {
      kept ??= client;
      return await deposit(kept, input);
    };
    expect((await complaint(world, { apply })).slice(2, 4)).toEqual([
      '1. StepFailed, shown by inputs[0]:',
      '     the Postgres leg failed: TwinwriteError: A callback of deposit used its client after it had returned. Twinwrite rolled back what it could; mend the callback and deploy, the update waits meanwhile.',
    ]);
  });

  test('a promise that floats, in MongoDB', async () => {
    const mongo: Wrong['mongo'] = {
      transaction: {
        apply: async ({ db, session, input }) => {
          void db
            .collection('statements')
            .insertOne({ of: input.id }, { session })
            .catch(() => {});
        },
      },
    };
    expect(await complaint(world, { mongo })).toEqual([
      'The definition "deposit" is not sound.',
      '',
      '1. StepFailed, shown by inputs[0]:',
      '     the Mongo leg failed: TwinwriteError: A callback of deposit returned with 1 operations of MongoDB not awaited. Twinwrite rolled back what it could; mend the callback and deploy, the update waits meanwhile.',
      ...FAILED,
    ]);
  });
});

describe('callbacks that are not the same when they run again', () => {
  const UNSAFE = [
    '   What it means: a callback runs again from the beginning after a fault, and yours then does something else: the outcome depends on luck.',
    '   What to do: keep nothing outside the transaction (no variable, no cache, no file) that the next run meets; let errors of the stores pass, and refuse only for what the data says.',
  ];

  test('a refusal that stands for any error', async () => {
    const apply: Wrong['apply'] = async ({ client, input, refuse }) =>
      await deposit(client, input).catch(() => refuse('there is no such account'));
    expect(await complaint(world, { apply })).toEqual([
      'The definition "deposit" is not sound.',
      '',
      '1. UnsafeRetry, shown by inputs[0]:',
      '     the connection broke after "insert into deposit (id, account, amount) values ($1, $2, $3…" in PostgreSQL (the Postgres leg):',
      '     PostgreSQL table account, id = ann: balance is 105 without the fault, 100 with it',
      '     PostgreSQL table deposit, number = 1: there without the fault, but not with it',
      '     MongoDB collection accounts, _id = "ann": balance is 105 without the fault, 100 with it',
      '     MongoDB collection accounts, _id = "ann": deposits is 1 without the fault, 0 with it',
      '     The answer: status is "applied" without the fault, "refused" with it',
      '     The answer: result.balance is 105 without the fault, absent with it',
      '     The answer: reason.code is absent without the fault, "RefusedByDefinition" with it',
      '     The answer: reason.message is absent without the fault, "there is no such account" with it',
      ...UNSAFE,
    ]);
  });

  test('the same in MongoDB', async () => {
    const mongo: Wrong['mongo'] = {
      transaction: {
        apply: async ({ db, session, input, refuse }) => {
          const statement = { _id: input.id, amount: input.amount };
          await db
            .collection<{ _id: string }>('statements')
            .insertOne(statement, { session })
            .catch(() => refuse('there is such a statement'));
        },
      },
    };
    expect((await complaint(world, { mongo })).slice(2, 5)).toEqual([
      '1. UnsafeRetry, shown by inputs[0]:',
      '     the connection broke after "insertOne on statements" in MongoDB (the Mongo leg):',
      '     PostgreSQL table account, id = ann: balance is 105 without the fault, 100 with it',
    ]);
  });

  test('but not what tries another write: a broken transaction is never committed', async () => {
    const apply: Wrong['apply'] = async ({ client, input }) => {
      const record = 'insert into audit values ($1)';
      await client.query(record, ['one way']).catch(() => client.query(record, ['another way']));
      return await deposit(client, input);
    };
    const undo: Wrong['undo'] = async ({ client, input }) => {
      await client.query('delete from audit');
      await takeBack(client, input);
    };
    const mongo: Wrong['mongo'] = {
      transaction: {
        apply: async ({ db, session }) => {
          const ways = db.collection<{ _id: string }>('ways');
          await ways
            .insertOne({ _id: 'one' }, { session })
            .catch(() => ways.insertOne({ _id: 'another' }, { session }));
        },
      },
    };
    const report = await check(world, { apply, undo, mongo });
    expect(report.unchecked).toContain('the undo in MongoDB: the definition has none');
    expect(report.samples).toMatchObject([{ outcome: 'applied' }]);
  });

  test('a variable that remembers', async () => {
    const seen = new Set<string>();
    const apply: Wrong['apply'] = async ({ client, input }) => {
      if (seen.has(input.id)) return { balance: 0 };
      seen.add(input.id);
      return await deposit(client, input);
    };
    expect(await complaint(world, { apply })).toEqual([
      'The definition "deposit" is not sound.',
      '',
      '1. UnsafeRetry, shown by inputs[0]:',
      '     PostgreSQL table deposit, number = 1: there after one run, but not after another from the same beginning',
      ...UNSAFE,
    ]);
  });

  test('a token of what the runs before have left in a variable', async () => {
    let runs = 0;
    const wrong: Wrong = {
      token: ({ id }) => `${id} ${runs}`,
      apply: async ({ client, input }) => {
        runs += 1;
        return await deposit(client, input);
      },
    };
    const lines = await complaint(world, wrong);
    expect(lines.slice(0, 4)).toEqual([
      'The definition "deposit" is not sound.',
      '',
      '1. DuplicateEffect, shown by inputs[0]:',
      '     PostgreSQL table account, id = ann: balance is 105 submitted once, 110 submitted 6 times',
    ]);
    expect(lines).toContain(
      '     The answer: result.balance is 105 submitted once, 110 for submission 6 of 6',
    );
    expect(lines.slice(-2)).toEqual([
      '   What it means: a caller that tries again, or two at once, changes more than one that does not.',
      '   What to do: make the token of the input alone, and keep nothing in the process from one run of a callback to the next.',
    ]);
  });
});
