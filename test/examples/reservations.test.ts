/**
 * Goal: the reservations example never oversells, and what a dead customer holds comes back.
 * Method: a hundred customers at once for ten pieces; a customer in a process of its own, killed;
 * then both stores judged without the product.
 */
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import {
  cancel,
  confirm,
  expire,
  reservations,
  reserve,
} from '../../examples/reservations/definition';
import { prepareShop } from '../../examples/reservations/prepare';
import { startHolder } from '../../examples/reservations/start-holder';
import { expireOverdue, startSweeper } from '../../examples/reservations/sweeper';
import { readVerdict } from '../../examples/reservations/verdict';
import type { Submitted } from '../../examples/support/verdict';
import { eventually } from '../support/eventually';
import { openWorld, type RunningWorker, type World } from '../support/world';

const ITEMS = ['kettle', 'mug', 'spoon', 'pan'].map((sku) => ({ sku, available: 10 }));
const LONG_MILLIS = 600_000;

let world: World;
let worker: RunningWorker;
const submitted: Submitted[] = [];

beforeAll(async () => {
  world = await openWorld();
  await prepareShop(world.postgres, ITEMS);
  const updates = [reserve, confirm, cancel, expire];
  worker = await world.startWorker({ updates, projections: [reservations] });
});

afterAll(async () => {
  await worker.stop();
  await world.close();
});

const wish = (sku: string, quantity = 1, keptMillis = LONG_MILLIS) => ({
  reservationId: randomUUID(),
  sku,
  quantity,
  keptMillis,
});
const reserveOne = async (given: ReturnType<typeof wish>) => {
  const outcome = await world.twinwrite.execute(reserve, given);
  submitted.push({ id: given.reservationId, applied: outcome.status === 'applied' });
  return outcome;
};
const availableOf = async (sku: string) => {
  const sql = 'select available from item where sku = $1';
  return (await world.postgres.query<{ available: number }>(sql, [sku])).rows[0]?.available;
};
const documentOf = async ({ reservationId }: { reservationId: string }) =>
  await world.mongo
    .db()
    .collection<{ _id: string }>('reservations')
    .findOne({ _id: reservationId }, { readConcern: 'majority' });
const verdict = () => readVerdict(world.postgres, world.mongo.db(), submitted, ITEMS);

test('a hundred customers at once reserve ten pieces, and not one more', async () => {
  const outcomes = await Promise.all(Array.from({ length: 100 }, () => reserveOne(wish('kettle'))));
  const refused = outcomes.filter(({ status }) => status === 'refused');
  expect(outcomes.filter(({ status }) => status === 'applied')).toHaveLength(10);
  expect(refused).toHaveLength(90);
  for (const outcome of refused) {
    expect(outcome).toMatchObject({ reason: { message: 'kettle is sold out' } });
  }
  expect(await availableOf('kettle')).toBe(0);
  expect(await verdict()).toMatchObject({ both: 10, neither: 90, divergent: [] });
});

test('what is confirmed stays, what is cancelled is there again, and neither becomes the other', async () => {
  const [bought, dropped] = [wish('mug', 2), wish('mug', 3)];
  for (const given of [bought, dropped]) await reserveOne(given);
  const end = async (definition: typeof confirm, { reservationId }: typeof bought) =>
    (await world.twinwrite.execute(definition, { reservationId })).status;
  expect([await end(confirm, bought), await end(cancel, dropped)]).toEqual(['applied', 'applied']);
  expect([await end(cancel, bought), await end(confirm, dropped)]).toEqual(['refused', 'refused']);
  expect(await availableOf('mug')).toBe(8);
  expect(await documentOf(bought)).toMatchObject({ status: 'confirmed' });
  expect(await documentOf(dropped)).toMatchObject({ status: 'cancelled' });
  expect(await verdict()).toMatchObject({ divergent: [] });
});

test('two sweepers at once give an overdue one back once, and leave the others alone', async () => {
  const [late, kept] = [wish('spoon', 4, 100), wish('spoon', 1)];
  for (const given of [late, kept]) await reserveOne(given);
  await eventually(async () => {
    const sql = 'select from reservation where id = $1 and expires_at <= now()';
    return (await world.postgres.query(sql, [late.reservationId])).rowCount === 1 || undefined;
  }, 'it is overdue');
  const { reservationId } = late;
  // Overdue, it can no longer be bought, whether or not somebody has looked.
  const bought = await world.twinwrite.execute(confirm, { reservationId });
  expect(bought).toMatchObject({ status: 'refused' });
  const sweep = () => expireOverdue(world.postgres, world.twinwrite);
  await Promise.all([sweep(), sweep()]);
  expect(await availableOf('spoon')).toBe(9);
  expect(await sweep()).toBe(0);
  expect(await documentOf(late)).toMatchObject({ status: 'expired' });
  expect(await documentOf(kept)).toMatchObject({ status: 'reserved' });
  expect(await verdict()).toMatchObject({ divergent: [] });
});

test('what a customer holds who is killed comes back, and somebody else gets it', async () => {
  const held = wish('pan', 10, 1_500);
  const where = {
    temporalAddress: world.addresses.temporalAddress,
    namespace: world.temporal.options.namespace,
    taskQueue: world.name,
  };
  const holder = await startHolder(where, held);
  await holder.kill();
  expect(holder.status).toBe('applied');
  submitted.push({ id: held.reservationId, applied: true });
  const sweeper = startSweeper(world.postgres, world.twinwrite, 50);
  await eventually(
    async () => (await availableOf('pan')) === 10 || undefined,
    'what it held is there again',
  );
  await sweeper.stop();
  expect(await reserveOne(wish('pan', 10))).toMatchObject({ status: 'applied' });
  expect(await documentOf(held)).toMatchObject({ status: 'expired' });
  expect(await verdict()).toMatchObject({ divergent: [] });
});
