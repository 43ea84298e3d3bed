/**
 * Goal: a check knows what its definition takes, without an annotation. Method: right and wrong
 * samples; two compilers read this file, nobody runs it.
 */
import type { MongoClient } from 'mongodb';
import type { Pool } from 'pg';
import { defineCrossStoreUpdate, defineProjection } from 'twinwrite';
import { type CheckReport, checkDefinition } from 'twinwrite/testing';
import { z } from 'zod';
import { expectType } from './expect-type';

declare const postgres: Pool;
declare const mongo: MongoClient;

const orders = defineProjection({ collection: 'orders', image: async () => [] });

const placeOrder = defineCrossStoreUpdate({
  name: 'placeOrder',
  input: z.strictObject({ orderId: z.uuid(), quantity: z.int().default(1) }),
  token: (input) => input.orderId,
  postgres: { apply: async () => ({ totalCents: '1999' }) },
  mongo: { project: (input) => [orders.document(input.orderId)] },
});

// A sample is what a caller gives, before defaults; one that is to be refused may be anything.
const report = checkDefinition(placeOrder, {
  inputs: [{ orderId: '1' }, { orderId: '2', quantity: 2 }],
  refused: [{ orderId: 3 }, 'nonsense'],
  given: [{ update: placeOrder, input: { orderId: '0' } }],
  ignore: ['stock.updated_at'],
  postgres,
  mongo,
});
expectType<Promise<CheckReport>>()(report);

void checkDefinition(placeOrder, {
  // @ts-expect-error -- a quantity is a number.
  inputs: [{ orderId: '1', quantity: 'two' }],
  postgres,
  mongo,
});

// @ts-expect-error -- a check needs both stores.
void checkDefinition(placeOrder, { inputs: [], postgres });
