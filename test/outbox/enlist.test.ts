/**
 * Goal: what a transaction enlists is there exactly when it commits, once for a token and input, and
 * never in the way of a rightful caller. Method: transactions on a real server, side by side, without
 * a worker that would start anything.
 */
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import type { PoolClient } from 'pg';
import { type Execute, submitInTransaction, submitManyInTransaction } from 'twinwrite';
import { countedProjection } from '../support/counted-definitions';
import { eventually } from '../support/eventually';
import { openWorld, type World } from '../support/world';
import { counted, enlistedRows, executeWith, inOwnTransaction } from './enlisting';

const SERIALIZATION_FAILURE = { code: '40001' };
const DEADLOCK = { code: '40P01' };

describe('an enlisted update', () => {
  const options = { taskQueue: 'nobody' };
  let world: World;

  beforeAll(async () => {
    world = await openWorld();
  });

  afterAll(async () => {
    await world.close();
  });

  const named = () => countedProjection({ name: `d${randomUUID().slice(0, 8)}` });
  const execute: Execute = (sql, parameters) => world.postgres.query(sql, parameters);

  const tokensOf = async (definition: ReturnType<typeof named>) =>
    (await enlistedRows(world.postgres, definition)).map(({ token }) => token);

  /** A transaction that stays open until it is told how it ends. */
  const open = async (work: (client: PoolClient) => Promise<unknown>, begin = 'begin') => {
    const client = await world.postgres.connect();
    await client.query(begin);
    await work(client);
    return {
      client,
      end: async (how: 'commit' | 'rollback') => {
        await client.query(how);
        client.release();
      },
    };
  };

  const waitForALock = async (what: string, howMany = 1) => {
    await eventually(async () => {
      const { rowCount } = await world.postgres.query(
        `select 1 from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock' and query like $1`,
        [`%${what}%`],
      );
      return (rowCount ?? 0) >= howMany || undefined;
    }, `${howMany} wait for a lock`);
  };

  test('twice with one input is one start', async () => {
    const definition = named();
    const input = counted();
    for (let time = 1; time <= 2; time += 1) {
      await inOwnTransaction(world.postgres, (own) =>
        submitInTransaction(own, definition, input, options),
      );
    }
    await submitManyInTransaction(execute, definition, [input, input], options);
    expect(await tokensOf(definition)).toEqual([input.id]);
  });

  test.each(['commit', 'rollback'] as const)(
    'waits for a transaction that has its token, and sees it %s',
    async (how) => {
      const definition = named();
      const { id } = counted();
      const first = await open((client) =>
        submitInTransaction(executeWith(client), definition, { id }, options),
      );
      const second = inOwnTransaction(world.postgres, (own) =>
        submitInTransaction(own, definition, { id, refusedBy: 'mongo' }, options),
      ).catch((error: unknown) => error);
      await waitForALock('twinwrite.enlist');
      await first.end(how);
      expect(await second).toMatchObject(
        how === 'commit' ? { code: 'TokenReused', token: id } : { token: id },
      );
      expect(await tokensOf(definition)).toEqual([id]);
    },
  );

  test('F11: a token that the ledger knows with another input is TokenReused, with the same one it is not', async () => {
    const definition = named();
    const input = counted();
    await submitInTransaction(execute, definition, input, options);
    await world.postgres.query(
      /*sql*/ `with started as (delete from twinwrite.outbox where definition = $1 returning *)
        insert into twinwrite.ledger (definition, token, state, ticket, fingerprint)
          select definition, token, 'applied', nextval('twinwrite.ticket'), fingerprint from started`,
      [definition.name],
    );
    const reusing = submitInTransaction(
      execute,
      definition,
      { ...input, refusedBy: 'mongo' },
      options,
    );
    await expect(reusing).rejects.toMatchObject({ code: 'TokenReused', token: input.id });
    expect(await tokensOf(definition)).toEqual([]);
    await submitInTransaction(execute, definition, input, options);
    expect(await tokensOf(definition)).toEqual([input.id]);
  });

  test('F11: one whose start was refused stands in nobody’s way', async () => {
    const definition = named();
    const { id } = counted();
    await submitInTransaction(execute, definition, { id, refusedBy: 'mongo' }, options);
    await world.postgres.query(
      `update twinwrite.outbox set parked = 'TokenReused' where definition = $1`,
      [definition.name],
    );
    await submitInTransaction(execute, definition, { id }, options);
    const rows = await enlistedRows(world.postgres, definition);
    expect(rows.map(({ state }) => state)).toEqual(['parked', 'waiting']);
  });

  test('TokenReused leaves nothing of its call, even where the caller commits nevertheless', async () => {
    const definition = named();
    const [before, reused, beside] = [counted(), counted(), counted()];
    await submitInTransaction(execute, definition, reused, options);
    await inOwnTransaction(world.postgres, async (own) => {
      await submitInTransaction(own, definition, before, options);
      const inputs = [beside, { ...reused, refusedBy: 'mongo' as const }];
      const refused = submitManyInTransaction(own, definition, inputs, options);
      await expect(refused).rejects.toMatchObject({ code: 'TokenReused', token: reused.id });
    });
    expect((await tokensOf(definition)).sort()).toEqual([before.id, reused.id].sort());
    const contradiction = [beside, { ...beside, refusedBy: 'mongo' as const }];
    await expect(
      submitManyInTransaction(execute, definition, contradiction, options),
    ).rejects.toMatchObject({ code: 'TokenReused' });
    expect(await tokensOf(definition)).not.toContain(beside.id);
  });

  test('is enlisted after all when a relay takes away, at that moment, what it met', async () => {
    const definition = named();
    const { id } = counted();
    await submitInTransaction(execute, definition, { id }, options);
    // A trigger at the end of the insert holds the call there.
    const gate = await open(async (client) => {
      await client.query(/*sql*/ `
        create function wait_at_gate() returns trigger language plpgsql as $$
          begin perform pg_advisory_xact_lock_shared(7); return null; end $$;
        create trigger gate after insert on twinwrite.outbox for each statement execute function wait_at_gate();
        commit; begin; select pg_advisory_xact_lock(7)`);
    });
    const enlisting = submitInTransaction(execute, definition, { id, refusedBy: 'mongo' }, options);
    await waitForALock('twinwrite.enlist');
    await world.postgres.query('delete from twinwrite.outbox where definition = $1', [
      definition.name,
    ]);
    await gate.end('commit');
    await enlisting;
    await world.postgres.query('drop function wait_at_gate cascade');
    expect(await tokensOf(definition)).toEqual([id]);
  });

  test('F33: many in one call are sorted, so that callers with the same tokens do not deadlock', async () => {
    const definition = named();
    const inputs = ['a', 'm', 'z'].map((id) => ({ id }));
    const holder = await open((client) =>
      submitInTransaction(executeWith(client), definition, { id: 'm' }, options),
    );
    const enlist = (ordered: typeof inputs) =>
      inOwnTransaction(world.postgres, (own) =>
        submitManyInTransaction(own, definition, ordered, options),
      );
    // Both get as far as they can while somebody has the token in the middle.
    const both = Promise.all([enlist(inputs), enlist(inputs.toReversed())]);
    await waitForALock('twinwrite.enlist', 2);
    await holder.end('rollback');
    const [, reversed] = await both;
    expect(reversed.map(({ token }) => token)).toEqual(['z', 'm', 'a']);
    expect((await tokensOf(definition)).sort()).toEqual(['a', 'm', 'z']);
  });

  test('F33: one by one, in opposite order, two callers deadlock: one of them is told to try again', async () => {
    const definition = named();
    const inputs = [counted(), counted()] as const;
    const submit = (client: PoolClient, input: (typeof inputs)[number]) =>
      submitInTransaction(executeWith(client), definition, input, options);
    const submitAndRollBack = async (
      { client, end }: Awaited<ReturnType<typeof open>>,
      input: (typeof inputs)[number],
    ) => {
      try {
        await submit(client, input);
      } finally {
        await end('rollback');
      }
    };
    const first = await open((client) => submit(client, inputs[0]));
    const second = await open((client) => submit(client, inputs[1]));
    const answers = await Promise.allSettled([
      submitAndRollBack(first, inputs[1]),
      submitAndRollBack(second, inputs[0]),
    ]);
    const refused = answers.flatMap((answer) =>
      answer.status === 'rejected' ? [answer.reason as unknown] : [],
    );
    expect(refused).toMatchObject([DEADLOCK]);
  });

  test('in a stricter isolation, a token that somebody enlisted meanwhile is a serialization failure', async () => {
    const definition = named();
    const input = counted();
    const strict = await open(
      (client) => client.query('select 1 from twinwrite.outbox'),
      'begin isolation level serializable',
    );
    await submitInTransaction(execute, definition, input, options);
    const again = submitInTransaction(executeWith(strict.client), definition, input, options);
    await expect(again).rejects.toMatchObject(SERIALIZATION_FAILURE);
    await strict.end('rollback');
  });
});
