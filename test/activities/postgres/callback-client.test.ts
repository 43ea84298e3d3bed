/**
 * Goal: what a callback can do wrong with its client is caught before COMMIT (F37). Method: each
 * misuse, in a real transaction.
 */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { lendClient } from '../../../src/activities/postgres/callback-client';
import { inTransaction } from '../../../src/activities/postgres/transaction';
import type { PostgresClient } from '../../../src/domain/definition';
import { openWorld, type World } from '../../support/world';

describe('a client lent to a callback', () => {
  let world: World;

  beforeAll(async () => {
    world = await openWorld();
    await world.postgres.query('create table thing (id int primary key)');
  });

  afterAll(async () => {
    await world.close();
  });

  const run = (callback: (client: PostgresClient) => Promise<unknown>) =>
    inTransaction(world.postgres, { timeoutMillis: 4_000 }, (client) =>
      lendClient('d', client, callback),
    );
  const things = async () => (await world.postgres.query('select id from thing')).rows;

  test.each([
    'commit',
    'COMMIT AND CHAIN',
    ' -- a note\n rollback',
    '/* a note */ begin',
    'start transaction',
    'end',
    'abort',
    "prepare transaction 'x'",
  ])('it refuses to run %j', async (statement) => {
    const misuse = run(async (client) => {
      await client.query('insert into thing values (1)');
      await client.query(statement);
    });
    await expect(misuse).rejects.toMatchObject({ code: 'TransactionMisused' });
    expect(await things()).toEqual([]);
  });

  test('savepoints are its own affair', async () => {
    await run(async (client) => {
      await client.query('savepoint s');
      await client.query('insert into thing values (2)');
      await client.query('rollback to savepoint s');
      await client.query('rollback to s');
    });
    expect(await things()).toEqual([]);
  });

  test('a swallowed error is not committed as success', async () => {
    const misuse = run(async (client) => {
      await client.query('select nonsense').catch(() => {});
    });
    await expect(misuse).rejects.toMatchObject({ code: 'TransactionMisused' });
  });

  test('a query that nobody awaited is noticed', async () => {
    const misuse = run(async (client) => {
      void client.query('insert into thing values (3)').catch(() => {});
    });
    await expect(misuse).rejects.toMatchObject({ code: 'TransactionMisused' });
    expect(await things()).toEqual([]);
  });

  test('a client that was kept is dead', async () => {
    let kept: PostgresClient | undefined;
    await run(async (client) => {
      kept = client;
    });
    await expect(kept?.query('insert into thing values (4)')).rejects.toMatchObject({
      code: 'TransactionMisused',
    });
    expect(await things()).toEqual([]);
  });

  test('a transaction ended behind our back, inside a procedure, is noticed', async () => {
    await world.postgres.query(
      `create procedure sneak() language plpgsql as $$ begin commit; end $$`,
    );
    const misuse = run(async (client) => {
      await client.query('call sneak()');
    });
    await expect(misuse).rejects.toThrow();
  });

  test('the pool gets no connection back that is inside a transaction', async () => {
    await expect(run(async (client) => await client.query('select 1/0'))).rejects.toMatchObject({
      code: '22012',
    });
    const status = await world.postgres.query('select pg_current_xact_id_if_assigned() as xid');
    expect(status.rows[0]).toEqual({ xid: null });
  });

  test('clause 8: past its deadline a transaction dies, and its connection with it', async () => {
    const late = inTransaction(world.postgres, { timeoutMillis: 1_000 }, async (client) => {
      await client.query('insert into thing values (5)');
      await client.query('select pg_sleep(0.5)');
      await client.query('select pg_sleep(0.55)');
      await client.query('select pg_sleep(0.55)');
    });
    await expect(late).rejects.toMatchObject({ name: 'PostgresDeadlineError' });
    expect(await things()).toEqual([]);
  });
});
