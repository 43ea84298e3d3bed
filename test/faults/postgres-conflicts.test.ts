/**
 * Goal: what PostgreSQL rolls back to let somebody else pass runs again, and once (H8). Method: a
 * real deadlock of two legs that take two rows in opposite order, and a real serialization failure.
 */
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { Pool } from 'pg';
import { defineCrossStoreUpdate } from 'twinwrite';
import { z } from 'zod';
import { eventually } from '../support/eventually';
import { assertNothingOpen, outcomeOf } from '../support/faulty-stores';
import { openWorld, type World } from '../support/world';

describe('two legs in conflict', () => {
  let world: World;
  let pool: Pool;
  let stop: () => Promise<void>;
  const first = new Map<string, () => Promise<unknown>>();
  const failures: unknown[] = [];

  const move = defineCrossStoreUpdate({
    name: 'move',
    input: z.strictObject({ id: z.string(), from: z.string(), to: z.string() }),
    token: ({ id }) => id,
    postgres: {
      apply: async ({ client, input: { id, from, to } }) => {
        try {
          await client.query('update account set points = points - 1 where id = $1', [from]);
          await first.get(id)?.();
          await client.query('update account set points = points + 1 where id = $1', [to]);
        } catch (error) {
          failures.push((error as { code?: unknown }).code);
          throw error;
        }
      },
    },
    mongo: {
      transaction: {
        apply: async ({ db, session, input: { from, to } }) => {
          for (const [_id, points] of [
            [from, -1],
            [to, 1],
          ] as const) {
            await db
              .collection<{ _id: string }>('accounts')
              .updateOne({ _id }, { $inc: { points } }, { upsert: true, session });
          }
        },
      },
    },
  });

  beforeAll(async () => {
    world = await openWorld();
    await world.postgres.query('create table account (id text primary key, points int not null)');
    await world.mongo.db().createCollection('accounts');
    pool = new Pool({
      connectionString: world.postgresUrl,
      // The server looks for a deadlock before the waiting for a lock is given up.
      options: '-c deadlock_timeout=100ms',
    });
    stop = (await world.startWorker({ updates: [move], postgres: pool })).stop;
  });

  afterAll(async () => {
    await stop();
    await assertNothingOpen(world, pool);
    await pool.end();
    await world.close();
  });

  const openAccounts = async () => {
    const [a, b] = [randomUUID(), randomUUID()];
    await world.postgres.query('insert into account values ($1, 0), ($2, 0)', [a, b]);
    failures.length = 0;
    return { a, b };
  };
  const pointsOf = async (id: string) => ({
    postgres: (await world.postgres.query('select points from account where id = $1', [id]))
      .rows[0],
    mongo: await world.mongo.db().collection<{ _id: string }>('accounts').findOne({ _id: id }),
  });

  test('clause 4: a deadlock is run again, and each has one effect', async () => {
    const { a, b } = await openAccounts();
    const ids = [randomUUID(), randomUUID()] as const;
    const arrived = new Set<string>();
    for (const id of ids) {
      first.set(id, async () => {
        arrived.add(id);
        await eventually(() => arrived.size === 2 || undefined, 'both have their first row', 3_000);
      });
    }
    const handles = [
      await world.twinwrite.submit(move, { id: ids[0], from: a, to: b }),
      await world.twinwrite.submit(move, { id: ids[1], from: b, to: a }),
    ];
    const outcomes = await Promise.all(handles.map((handle) => outcomeOf(handle, 10_000)));
    expect(outcomes.map(({ status }) => status)).toEqual(['applied', 'applied']);
    expect(failures).toEqual(['40P01']);
    for (const id of [a, b]) {
      expect(await pointsOf(id)).toMatchObject({ postgres: { points: 0 }, mongo: { points: 0 } });
    }
  });

  test('clause 4: a serialization failure is run again, and has one effect', async () => {
    const { a, b } = await openAccounts();
    await world.postgres.query(/*sql*/ `
      create sequence failure;
      create function fail_once() returns trigger language plpgsql as $$
        begin
          if nextval('failure') = 1 then raise exception using errcode = 'serialization_failure'; end if;
          return new;
        end $$;
      create trigger fail_once before update on account for each row execute function fail_once()`);
    const id = randomUUID();
    const handle = await world.twinwrite.submit(move, { id, from: a, to: b });
    expect(await outcomeOf(handle)).toMatchObject({ status: 'applied' });
    expect(failures).toEqual(['40001']);
    expect(await pointsOf(a)).toMatchObject({ postgres: { points: -1 }, mongo: { points: -1 } });
    expect(await pointsOf(b)).toMatchObject({ postgres: { points: 1 }, mongo: { points: 1 } });
  });
});
