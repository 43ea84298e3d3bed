/**
 * Goal: the ledger says that an update is parked while it is, and no longer (clause 11). Method:
 * the statements of the ledger, by hand.
 */
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import * as ledger from '../../../src/activities/postgres/ledger';
import { openWorld, type World } from '../../support/world';
import { queueOf, type Update } from './queue-of';

let world: World;

beforeAll(async () => {
  world = await openWorld();
});

afterAll(async () => {
  await world.close();
});

const { update, claim, claimed, waits, settle } = queueOf(() => world.postgres);

const viewOf = async ({ key }: Update) =>
  (
    await world.postgres.query('select state, parked from twinwrite.updates where token = $1', [
      key.token,
    ])
  ).rows[0] as { state: string; parked: string | null } | undefined;

test('a waiter that was parked when its turn came is parked no more once its leg has run', async () => {
  const holder = update(['a']);
  const hold = await claimed(holder);
  const waiter = update(['a']);
  await waits(waiter);
  await settle(holder, hold);
  await ledger.park(world.postgres, waiter.key, 'applyPostgres: its leg has a bug');
  expect(await viewOf(waiter)).toEqual({
    state: 'parked',
    parked: 'applyPostgres: its leg has a bug',
  });
  expect(await claim(waiter)).toMatchObject({ at: 'claimed' });
  expect(await viewOf(waiter)).toEqual({ state: 'forward', parked: null });
});

test('an update that is taken back is parked no more', async () => {
  const parked = update(['b']);
  await claimed(parked);
  await ledger.park(world.postgres, parked.key, 'applyMongo: its leg has a bug');
  const reason = { code: 'Cancelled', message: 'by the test' } as const;
  await ledger.fence(world.postgres, parked.key, reason, 'w');
  expect(await viewOf(parked)).toEqual({ state: 'undoing', parked: null });
});

test('to park what the ledger does not know, or has settled, changes nothing', async () => {
  const settled = update(['c']);
  await settle(settled, await claimed(settled));
  await ledger.park(world.postgres, settled.key, 'late');
  expect(await viewOf(settled)).toEqual({ state: 'applied', parked: null });
  await ledger.park(world.postgres, update(['c']).key, 'nobody');
});
