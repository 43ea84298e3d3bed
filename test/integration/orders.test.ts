/**
 * Goal: the promise, end to end, on the real servers. Method: the orders example through the client SDK and a worker, both stores read directly.
 */
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { placeOrder } from '../../examples/orders/definition';
import { prepareShop } from '../../examples/orders/prepare';
import { openWorld, type World } from '../support/world';

const STOCK = [{ sku: 'sku-1', title: 'Kettle', priceCents: '1999', available: 1_000 }];

describe('placeOrder', () => {
  let world: World;

  beforeAll(async () => {
    world = await openWorld();
    await prepareShop(world.postgres, world.mongo.db(), STOCK);
    await world.startWorker({ updates: [placeOrder] });
  });

  afterAll(async () => {
    await world.close();
  });

  test('an order is applied in both stores, and its result is the recorded one', async () => {
    const orderId = randomUUID();
    const outcome = await world.twinwrite.execute(placeOrder, {
      orderId,
      sku: 'sku-1',
      quantity: 2,
    });
    expect(outcome).toEqual({ status: 'applied', result: { totalCents: '3998' } });
  });
});
