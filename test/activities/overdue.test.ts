/**
 * Goal: clause 9, F23: what a janitor may take from the ledger, and when again. Method: the ledger's
 * statements by hand, where instead of the clock the due time is moved.
 */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import type { Pool } from 'pg';
import {
  findOverdueCalls,
  giveUpCalls,
  type OverdueUpdate,
  takeOverdue,
} from '../../src/activities/overdue';
import * as ledger from '../../src/activities/postgres/ledger';
import type { Reason } from '../../src/domain/outcome';
import { openWorld, type World } from '../support/world';
import { inTransaction, queueOf, type Update } from './postgres/queue-of';

const REASON: Reason = { code: 'Cancelled', message: 'by the test' };

describe('overdue updates', () => {
  let world: World;
  let pool: Pool;
  let sequence = 0;
  let a: string;

  beforeAll(async () => {
    world = await openWorld();
    pool = world.postgres;
  });

  afterAll(async () => {
    await world.close();
  });

  beforeEach(async () => {
    a = `a:${++sequence}`;
    await pool.query(`update twinwrite.pending set due = 'infinity'`);
  });

  const { update, free, claim, claimed, waits, settle } = queueOf(() => pool);

  const makeOverdue = async ({ key }: Update) => {
    await pool.query(
      `update twinwrite.pending set due = now() - interval '2 seconds' where tokens[1] = $1`,
      [key.token],
    );
  };

  const dueInSeconds = async ({ key }: Update) => {
    const { rows } = await pool.query<{ seconds: number }>(
      `select case when isfinite(due) then round(extract(epoch from due - now())) else 'infinity' end::float as seconds
        from twinwrite.pending where tokens[1] = $1`,
      [key.token],
    );
    return rows[0]?.seconds;
  };

  const take = async (definitions = ['d']) => await takeOverdue(pool, definitions, 100);
  const tokensOf = (taken: readonly OverdueUpdate[]) => taken.map(({ request }) => request.token);

  /** How long each of these tries pushes the row. */
  const pushesOf = async (overdue: Update, tries: number) => {
    const pushes = [];
    for (let index = 0; index < tries; index += 1) {
      await makeOverdue(overdue);
      expect(tokensOf(await take())).toEqual([overdue.key.token]);
      pushes.push(await dueInSeconds(overdue));
    }
    return pushes;
  };

  test('a claim is overdue after ten seconds, or two and a half legs', async () => {
    const [usual, slow] = [update([a]), free([`${a}'`])];
    await claimed(usual);
    await ledger.claim(pool, slow.key, { ...slow.plan, legTimeoutMillis: 20_000 });
    expect(await dueInSeconds(usual)).toBe(10);
    expect(await dueInSeconds(slow)).toBe(50);
    expect(await take()).toEqual([]);
  });

  test('what is taken has all that driving it takes, and is nobody else to take for a while', async () => {
    const input = { id: 1, text: 'ü' };
    const overdue = update([a], { input });
    const { ticket } = await claimed(overdue);
    await makeOverdue(overdue);
    const [taken, ...others] = await take();
    const lateMillis = taken?.lateMillis ?? 0;
    expect(others).toEqual([]);
    const { definition, token } = overdue.key;
    const request = { definition, token, input };
    expect(taken).toEqual({ request, ticket, stage: 'forward', tries: 1, lateMillis });
    expect(lateMillis).toBeGreaterThanOrEqual(2_000);
    expect(lateMillis).toBeLessThan(4_000);
    expect(await take()).toEqual([]);
  });

  test('one that keeps failing is tried ever more rarely, to once a minute', async () => {
    const failing = update([a]);
    await claimed(failing);
    expect(await pushesOf(failing, 6)).toEqual([10, 20, 40, 60, 60, 60]);
  });

  test('one that is parked is tried more rarely than its workflow tries it', async () => {
    const parked = update([a]);
    await claimed(parked);
    const pushes = [];
    for (let times = 0; times < 7; times += 1) {
      await ledger.park(pool, parked.key, 'applyMongo: refused');
      pushes.push(await dueInSeconds(parked));
    }
    // Its workflow pauses for 30, 60, 120 … 600.
    expect(pushes).toEqual([60, 90, 150, 270, 510, 630, 630]);
    await makeOverdue(parked);
    expect((await take())[0]).toMatchObject({ stage: 'forward', tries: 13 });
    expect(await dueInSeconds(parked)).toBe(630);
  });

  test('one that moves on starts anew', async () => {
    const parked = update([a]);
    await claimed(parked);
    await ledger.park(pool, parked.key, 'applyMongo: refused');
    await ledger.fence(pool, parked.key, REASON, 'w');
    expect(await dueInSeconds(parked)).toBe(10);
    expect(await pushesOf(parked, 2)).toEqual([10, 20]);
    await ledger.park(pool, parked.key, 'undoPostgres: a bug');
    expect(await dueInSeconds(parked)).toBe(60);
    await inTransaction(pool, async (client) => {
      await ledger.beginUndo(client, parked.key);
      return await ledger.finishUndo(client, parked.key);
    });
    expect(await dueInSeconds(parked)).toBeUndefined();
  });

  test('who waits is left alone, parked or not; whose turn has come is taken once it was called twice', async () => {
    const holder = update([a]);
    const hold = await claimed(holder);
    const waiter = update([a]);
    await waits(waiter);
    await ledger.park(pool, waiter.key, 'applyPostgres: a bug');
    expect(await dueInSeconds(waiter)).toBe(Infinity);
    await pool.query(
      `update twinwrite.pending set parked = null, tries = 0 where stage = 'queued'`,
    );
    await settle(holder, hold);
    for (const pause of [2, 4]) {
      await makeOverdue(waiter);
      expect(await take()).toEqual([]);
      expect(await findOverdueCalls(pool, 100)).toEqual([waiter.plan.workflow]);
      expect(await dueInSeconds(waiter)).toBe(pause);
    }
    await makeOverdue(waiter);
    expect(await findOverdueCalls(pool, 100)).toEqual([]);
    expect(await take()).toMatchObject([{ stage: 'granted', tries: 1 }]);
    // In vain, and parked for it: still not called, and taken again.
    await ledger.park(pool, waiter.key, 'applyPostgres: a bug');
    await makeOverdue(waiter);
    expect(await findOverdueCalls(pool, 100)).toEqual([]);
    expect(await take()).toMatchObject([{ stage: 'granted' }]);
    expect(await claim(waiter)).toMatchObject({ at: 'claimed' });
    expect(await dueInSeconds(waiter)).toBe(10);
  });

  test('whose workflow is gone when its turn comes is taken at once; who waits is not', async () => {
    const holder = update([a]);
    const hold = await claimed(holder);
    const [first, second] = [update([a]), update([a])];
    for (const waiter of [first, second]) await waits(waiter);
    const workflows = [first, second].map(({ plan }) => plan.workflow);
    await giveUpCalls(pool, workflows);
    expect(await take()).toEqual([]);
    await settle(holder, hold);
    await giveUpCalls(pool, workflows);
    expect(tokensOf(await take())).toEqual([first.key.token]);
  });

  test('definitions that the worker lacks are left to others', async () => {
    const overdue = update([a]);
    await claimed(overdue);
    await makeOverdue(overdue);
    expect(await take(['other'])).toEqual([]);
    expect(await dueInSeconds(overdue)).toBeLessThan(0);
    expect(await take(['other', 'd'])).toHaveLength(1);
  });

  test('two that look at once take different rows, the most overdue first, and wait for no lock', async () => {
    const all = Array.from({ length: 20 }, (_, index) => update([`${a}/${index}`]));
    for (const overdue of all) await claimed(overdue);
    for (const [index, { key }] of all.entries()) {
      await pool.query(
        `update twinwrite.pending set due = now() - $2 * interval '1 second' where tokens[1] = $1`,
        [key.token, all.length - index],
      );
    }
    const [locked, ...rest] = all;
    const taken = await inTransaction(pool, async (client) => {
      await client.query('select from twinwrite.pending where tokens[1] = $1 for update', [
        locked?.key.token,
      ]);
      return await Promise.all(Array.from({ length: 4 }, () => takeOverdue(pool, ['d'], 3)));
    });
    const tokens = tokensOf(taken.flat());
    expect(new Set(tokens).size).toBe(tokens.length);
    expect(tokens.sort()).toEqual(tokensOf12(rest));
  });

  const tokensOf12 = (rest: readonly Update[]) =>
    rest
      .slice(0, 12)
      .map(({ key }) => key.token)
      .sort();
});
