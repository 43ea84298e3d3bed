/**
 * Goal: a workflow that waits for its turn hears of it even when an attempt of its own, which it had
 * given up, took the turn, and the signal was lost (clause 7). The explorer found that it did not.
 * Method: the ledger's own statements, in the order that showed it.
 */
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { findOverdueCalls, forgetCalls } from '../../../src/activities/overdue';
import * as ledger from '../../../src/activities/postgres/ledger';
import { openWorld, type World } from '../../support/world';
import { inTransaction, queueOf, type Update } from './queue-of';

let world: World;
const { update, claim, claimed, waits, settle } = queueOf(() => world.postgres);

beforeAll(async () => {
  world = await openWorld();
});

afterAll(async () => {
  await world.close();
});

/** The attempt that nobody waits for takes the turn of its own workflow. */
async function takeTurn(waiter: Update): Promise<readonly string[]> {
  return await inTransaction(world.postgres, async (client) => {
    const answer = await ledger.claim(client, waiter.key, waiter.plan);
    if (answer.at !== 'claimed') throw new Error(`it is ${answer.at}`);
    const { turns } = await ledger.finishLeg(client, waiter.key, answer, waiter.plan.workflow);
    return turns;
  });
}

async function keptCalls(): Promise<{ workflow: string; isLate: boolean }[]> {
  const { rows } = await world.postgres.query<{ workflow: string; isLate: boolean }>(
    `select workflow, due > now() + interval '5 seconds' as "isLate" from twinwrite.call`,
  );
  return rows;
}

test('clause 7: a turn that a lost attempt took is told to its workflow, late', async () => {
  const holder = update(['stock:a']);
  const waiter = update(['stock:a']);
  const hold = await claimed(holder);
  await waits(waiter);
  // This call is the one that gets lost.
  expect(await settle(holder, hold)).toEqual([waiter.plan.workflow]);
  // Its own attempt has an answer, as a rule: so nobody is called now.
  expect(await takeTurn(waiter)).toEqual([]);
  expect(await keptCalls()).toEqual([{ workflow: waiter.plan.workflow, isLate: true }]);
  expect(await findOverdueCalls(world.postgres, 10)).toEqual([]);
  await world.postgres.query(`update twinwrite.call set due = now() - interval '1 second'`);
  expect(await findOverdueCalls(world.postgres, 10)).toEqual([waiter.plan.workflow]);
  // It claims again, and hears how it stands.
  expect(await claim(waiter)).toMatchObject({ at: 'forward' });
  await forgetCalls(world.postgres, [waiter.plan.workflow]);
  expect(await keptCalls()).toEqual([]);
});
