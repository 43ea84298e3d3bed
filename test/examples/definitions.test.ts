/**
 * Goal: the examples' definitions are sound, as anybody's should be. Method: `checkDefinition`, as a
 * user's own test would call it, with samples of all their ends.
 */
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { checkDefinition } from 'twinwrite/testing';
import { importMovie } from '../../examples/movies/definition';
import { prepareCatalogue } from '../../examples/movies/prepare';
import { readMovieRecords } from '../../examples/movies/read-records';
import { movieRecord } from '../../examples/movies/record';
import { placeOrder } from '../../examples/orders/definition';
import { prepareShop } from '../../examples/orders/prepare';
import { confirm, reserve } from '../../examples/reservations/definition';
import { prepareShop as prepareReservations } from '../../examples/reservations/prepare';
import { openWorld, type World } from '../support/world';

const STOCK = [
  { sku: 'kettle', title: 'Kettle', priceCents: '1999', available: 100 },
  { sku: 'mug', title: 'Mug', priceCents: '900', available: 100 },
  { sku: 'signed-mug', title: 'Signed mug', priceCents: '24900', available: 0 },
];

let world: World;

beforeAll(async () => {
  world = await openWorld();
  await prepareShop(world.postgres, world.mongo.db(), STOCK);
  await prepareCatalogue(world.postgres);
  await prepareReservations(world.postgres, [{ sku: 'kettle', available: 10 }]);
});

afterAll(async () => {
  await world.close();
});

const order = (sku: string, more: { quantity?: number; giftNote?: string } = {}) => ({
  orderId: randomUUID(),
  sku,
  quantity: 2,
  ...more,
});

test('placeOrder is sound', async () => {
  const { postgres, mongo } = world;
  const report = await checkDefinition(placeOrder, {
    inputs: [order('kettle', { giftNote: 'Enjoy!' }), order('mug')],
    refused: [
      order('signed-mug'),
      order('no-such-thing'),
      order('kettle', { giftNote: 'x'.repeat(121) }),
      order('kettle', { quantity: 0 }),
    ],
    postgres,
    mongo,
  });
  expect(report.samples.map(({ outcome }) => outcome)).toEqual([
    'applied',
    'applied',
    'refused',
    'refused',
    'compensated',
    'invalid',
  ]);
  expect(report.unchecked).toEqual([]);
});

test('importMovie is sound', async () => {
  const { postgres, mongo } = world;
  const records = await readMovieRecords();
  const good = records.filter((record) => movieRecord.safeParse(record).success);
  const bad = records.find((record) => !movieRecord.safeParse(record).success);
  const report = await checkDefinition(importMovie, {
    // The second and third share their distributor with another.
    inputs: good.slice(0, 3),
    refused: [bad],
    postgres,
    mongo,
  });
  expect(report.samples.map(({ outcome }) => outcome)).toEqual([
    'applied',
    'applied',
    'applied',
    'invalid',
  ]);
  expect(report.unchecked).toEqual(['the undo: the definition has none']);
});

test('reserve and confirm are sound', async () => {
  const { postgres, mongo } = world;
  const wish = (quantity: number) => ({
    reservationId: randomUUID(),
    sku: 'kettle',
    quantity,
    keptMillis: 600_000,
  });
  const report = await checkDefinition(reserve, {
    inputs: [wish(2), wish(3)],
    refused: [wish(99), wish(0)],
    postgres,
    mongo,
  });
  expect(report.samples.map(({ outcome }) => outcome)).toEqual([
    'applied',
    'applied',
    'refused',
    'invalid',
  ]);
  expect(report.unchecked).toEqual([]);
  const { rows } = await postgres.query<{ id: string }>(`insert into reservation
    values (gen_random_uuid(), 'kettle', 1, 'reserved', now() + interval '1 hour') returning id`);
  const confirmed = await checkDefinition(confirm, {
    inputs: rows.map(({ id }) => ({ reservationId: id })),
    refused: [{ reservationId: randomUUID() }],
    postgres,
    mongo,
  });
  expect(confirmed.samples.map(({ outcome }) => outcome)).toEqual(['applied', 'refused']);
});
