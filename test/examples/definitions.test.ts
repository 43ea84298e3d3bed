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
