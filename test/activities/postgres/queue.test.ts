/**
 * Goal: clause 7 as the ledger keeps it: holds, the queue, and whose turn it is. Method: claims and
 * settlings interleaved by hand on real connections, then hundreds at random; no workflow.
 */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import type { Pool } from 'pg';
import { findOverdueCalls, forgetCalls } from '../../../src/activities/overdue';
import * as ledger from '../../../src/activities/postgres/ledger';
import type { Reason } from '../../../src/domain/outcome';
import { openWorld, type World } from '../../support/world';
import { inTransaction, queueOf, type Update } from './queue-of';

const REASON: Reason = { code: 'Cancelled', message: 'by the test' };

describe('the queue of those that wait for a hold', () => {
  let world: World;
  let pool: Pool;
  let sequence = 0;
  let a: string;
  let b: string;

  beforeAll(async () => {
    world = await openWorld();
    pool = world.postgres;
  });

  afterAll(async () => {
    await world.close();
  });

  beforeEach(() => {
    sequence += 1;
    a = `a:${sequence}`;
    b = `b:${sequence}`;
  });

  const { update, free, claim, claimed, waits, settle } = queueOf(() => pool);
  /** What both views say: the one of all updates, and the cheap one of those that are not settled. */
  const stageOf = async ({ key }: Update): Promise<string | undefined> => {
    const states = await pool.query<{ state: string; unsettled: string | null }>(
      `select u.state, n.state as unsettled from twinwrite.updates u left join twinwrite.unsettled n using (definition, token)
        where token = $1`,
      [key.token],
    );
    const [found] = states.rows;
    if (found?.unsettled === null) return undefined;
    expect(found?.unsettled).toBe(found?.state);
    return found?.state;
  };

  test.each([
    ['in the transaction form without an undo (F1)', { form: 'transaction', undoable: false }],
    ['in the transaction form with one', { form: 'transaction', undoable: true }],
    ['in the projection form with an undo', { form: 'projection', undoable: true }],
  ] as const)('clause 7: an update %s holds its entities until it is settled', async (_, plan) => {
    const first = update([a], plan);
    const second = update([a]);
    const hold = await claimed(first);
    await waits(second);
    expect(await settle(first, hold)).toEqual([second.plan.workflow]);
    await claimed(second);
  });

  test('clause 7, F2: a free update holds nothing, and waits for a hold like every other', async () => {
    await claimed(free([a]));
    await claimed(free([a]));
    const holder = update([a]);
    const hold = await claimed(holder);
    const waiter = free([a]);
    await waits(waiter);
    await settle(holder, hold);
    await claimed(waiter);
  });

  test('clause 7: turns come in the order of the tickets, and nobody overtakes the queue', async () => {
    const holder = update([a]);
    const waiters = [update([a]), free([a]), update([a])] as const;
    const hold = await claimed(holder);
    for (const waiter of waiters) await waits(waiter);
    await waits(waiters[1]);
    expect(await settle(holder, hold)).toEqual([waiters[0].plan.workflow]);
    const newcomer = update([a]);
    await waits(newcomer);
    await waits(waiters[2]);
    const next = await claimed(waiters[0]);
    expect(await settle(waiters[0], next)).toEqual([waiters[1].plan.workflow]);
  });

  test('clause 7: a free update that waited hands the turn on with its leg', async () => {
    const holder = update([a]);
    const waiters = [free([a]), free([a])] as const;
    const hold = await claimed(holder);
    for (const waiter of waiters) await waits(waiter);
    await settle(holder, hold);
    const answer = await claim(waiters[0]);
    if (answer.at !== 'claimed') throw new Error('its turn has come');
    const { workflow } = waiters[0].plan;
    const { turns } = await ledger.finishLeg(pool, waiters[0].key, answer, workflow);
    expect(turns).toEqual([waiters[1].plan.workflow]);
  });

  test('clause 7: whoever waits for two entities takes both at once or neither', async () => {
    const holders = [update([a]), update([b])] as const;
    const holds = [await claimed(holders[0]), await claimed(holders[1])] as const;
    const both = update([b, a]);
    await waits(both);
    expect(await settle(holders[0], holds[0])).toEqual([both.plan.workflow]);
    expect(await stageOf(both)).toBe('granted');
    await waits(both);
    expect(await stageOf(both)).toBe('queued');
    expect(await settle(holders[1], holds[1])).toEqual([both.plan.workflow]);
    await claimed(both);
    await waits(update([a]));
  });

  test('clause 7: two releases at once do not each leave the call to the other', async () => {
    for (let round = 0; round < 20; round += 1) {
      const [left, right] = [update([`${a}/${round}`]), update([`${b}/${round}`])];
      const holds = [await claimed(left), await claimed(right)] as const;
      const both = update([`${a}/${round}`, `${b}/${round}`]);
      await waits(both);
      const calls = await Promise.all([settle(left, holds[0]), settle(right, holds[1])]);
      expect(calls.flat()).toContain(both.plan.workflow);
      await claimed(both);
    }
  });

  test('clause 7, F44: entities named in another order, or twice, are the same entities', async () => {
    const holder = update([a, b]);
    await claimed(holder);
    await waits(update([b, a]));
    const unlike = update([b, b]);
    await waits(unlike);
  });

  test('clause 3: a duplicate of a waiter finds it waiting, and has the same place', async () => {
    const holder = update([a]);
    const hold = await claimed(holder);
    const waiter = update([a]);
    await waits(waiter);
    const duplicate = { ...waiter, plan: { ...waiter.plan, workflow: 'elsewhere' } };
    expect(await claim(duplicate)).toEqual({ at: 'waiting', workflow: waiter.plan.workflow });
    await settle(holder, hold);
    await claimed(duplicate);
    expect(await claim(waiter)).toMatchObject({ at: 'forward' });
  });

  test('clause 1: another input for the token of a waiter is TokenReused, and takes no turn', async () => {
    const holder = update([a]);
    const hold = await claimed(holder);
    const waiter = update([a]);
    await waits(waiter);
    await settle(holder, hold);
    const reused = { ...waiter, key: { ...waiter.key, fingerprint: '1:y' } };
    await expect(claim(reused)).rejects.toMatchObject({ code: 'TokenReused' });
    await expect(ledger.fence(pool, reused.key, REASON, 'w')).rejects.toMatchObject({
      code: 'TokenReused',
    });
    await claimed(waiter);
  });

  test.each([
    ['a fence', ledger.fence],
    ['a refusal', ledger.refuse],
  ])(
    'clause 5: %s takes a waiter out of the queue for good, and calls the next',
    async (_, ruleOut) => {
      const holder = update([a]);
      const hold = await claimed(holder);
      const [first, second] = [update([a]), update([a])];
      await waits(first);
      await waits(second);
      await settle(holder, hold);
      const { answer, turns } = await ruleOut(pool, first.key, REASON, first.plan.workflow);
      expect(answer).toEqual({ at: 'settled', outcome: { status: 'refused', reason: REASON } });
      expect(turns).toEqual([second.plan.workflow]);
      expect(await claim(first)).toEqual(answer);
      await claimed(second);
    },
  );

  test('clause 7: a waiter whose token another driver takes out of the queue is called until it hears', async () => {
    const holder = update([a]);
    const hold = await claimed(holder);
    const [cancelled, overtaken] = [update([a]), update([a])];
    await waits(cancelled);
    await waits(overtaken);
    const { turns } = await ledger.fence(pool, cancelled.key, REASON, 'another driver');
    expect(turns).toContain(cancelled.plan.workflow);
    await settle(holder, hold);
    const answer = await claim(overtaken);
    if (answer.at !== 'claimed') throw new Error('its turn has come');
    const finished = await ledger.finishLeg(pool, overtaken.key, answer, 'another driver');
    expect(finished.turns).toEqual([overtaken.plan.workflow]);
    const waiters = [cancelled.plan.workflow, overtaken.plan.workflow];
    await pool.query(`update twinwrite.call set due = now() - interval '1 second'`);
    expect(await findOverdueCalls(pool, 100)).toEqual(expect.arrayContaining(waiters));
    await forgetCalls(pool, waiters);
    // A call of its own, which it would need had it not heard its attempt, comes late (decision 14).
    const kept = 'select from twinwrite.call where workflow = any($1)';
    expect((await pool.query(kept, [waiters])).rowCount).toBe(0);
  });

  test('clause 11: the views say who waits, whose turn it is, and who needs somebody', async () => {
    const holder = update([a]);
    const hold = await claimed(holder);
    const waiter = update([a]);
    await waits(waiter);
    const legs = await pool.query(
      'select state, postgres_leg, mongo_leg, entities from twinwrite.updates where token = $1',
      [waiter.key.token],
    );
    expect(legs.rows).toEqual([
      { state: 'queued', postgres_leg: 'waiting', mongo_leg: 'waiting', entities: [a] },
    ]);
    await settle(holder, hold);
    expect(await stageOf(waiter)).toBe('granted');
    await ledger.park(pool, waiter.key, 'its leg has a bug');
    expect(await stageOf(waiter)).toBe('parked');
    await claimed(waiter);
    expect(await stageOf(waiter)).toBe('forward');
    expect(await stageOf(holder)).toBeUndefined();
  });

  test('clause 5: an undo that settles releases what the update held', async () => {
    const holder = update([a]);
    await claimed(holder);
    const waiter = update([a]);
    await waits(waiter);
    await ledger.fence(pool, holder.key, REASON, 'w');
    await waits(waiter);
    const { turns } = await inTransaction(pool, async (client) => {
      await ledger.beginUndo(client, holder.key);
      return await ledger.finishUndo(client, holder.key);
    });
    expect(turns).toEqual([waiter.plan.workflow]);
    await claimed(waiter);
  });

  test('clause 5: a projection keeps its hold from its undo until the image of after it is written', async () => {
    const holder = update([a], { form: 'projection' });
    const hold = await claimed(holder);
    const waiter = update([a]);
    await waits(waiter);
    await ledger.fence(pool, holder.key, REASON, 'w');
    await inTransaction(pool, async (client) => {
      await ledger.beginUndo(client, holder.key);
      await ledger.finishUndo(client, holder.key);
    });
    await waits(waiter);
    expect(await settle(holder, { ...hold, undone: true })).toEqual([waiter.plan.workflow]);
  });

  test('F30: what was recorded with the claim is released, whatever the definition names today', async () => {
    const holder = update([a]);
    const hold = await claimed(holder);
    const waiter = update([a]);
    await waits(waiter);
    const changed = { ...waiter, plan: { ...waiter.plan, entities: [b] } };
    const turns = await settle(holder, { ...hold, entities: [b] });
    expect(turns).toEqual([waiter.plan.workflow]);
    expect((await claimed(changed)).entities).toEqual([a]);
  });

  test('F23: who was called and did not come is called again, ever more rarely, unless it is parked', async () => {
    const holder = update([a]);
    const hold = await claimed(holder);
    const waiter = update([a]);
    await waits(waiter);
    const { workflow } = waiter.plan;
    expect(await overdue(pool, '1 day')).not.toContain(workflow);
    await settle(holder, hold);
    expect(await overdue(pool, '0 seconds')).not.toContain(workflow);
    expect(await overdue(pool, '3 seconds')).toContain(workflow);
    const rest = await pool.query<{ seconds: string }>(
      'select ceil(extract(epoch from due - now()))::text as seconds from twinwrite.pending where workflow = $1',
      [workflow],
    );
    expect(rest.rows[0]?.seconds).toBe('2');
    await ledger.park(pool, waiter.key, 'its leg has a bug');
    expect(await overdue(pool, '1 day')).not.toContain(workflow);
  });
});

/** Who is called again, as if so much time had passed. */
async function overdue(pool: Pool, later: string): Promise<string[]> {
  await pool.query(
    `update twinwrite.pending set due = due - $1::interval where stage = 'granted'`,
    [later],
  );
  return await findOverdueCalls(pool, 100);
}
