/**
 * Goal: the orders example does what it shows, and its verdict sees what is wrong. Method: orders
 * through the client SDK and a worker, then both stores damaged by hand, one way after the other.
 */
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { type TwinwriteError } from 'twinwrite';
import { placeOrder } from '../../examples/orders/definition';
import { planMix } from '../../examples/orders/mix';
import { prepareShop } from '../../examples/orders/prepare';
import { countUnsettled } from '../../examples/orders/unsettled';
import { readVerdict } from '../../examples/orders/verdict';
import type { StoredDocument, Submitted } from '../../examples/support/verdict';
import { openWorld, type RunningWorker, type World } from '../support/world';

const STOCK = [
  { sku: 'kettle', title: 'Kettle', priceCents: '1999', available: 100 },
  { sku: 'signed-mug', title: 'Signed mug', priceCents: '24900', available: 0 },
];
const LONG_NOTE = 'x'.repeat(121);

describe('the orders example', () => {
  let world: World;
  let worker: RunningWorker;
  let submitted: Submitted[] = [];

  const place = async (order: { sku: string; quantity: number; giftNote?: string }) => {
    const orderId = randomUUID();
    const outcome = await world.twinwrite.execute(placeOrder, { orderId, ...order });
    submitted.push({ id: orderId, applied: outcome.status === 'applied' });
    return { orderId, outcome };
  };
  const documents = () => world.mongo.db().collection<StoredDocument>('orders');
  const verdict = () => readVerdict(world.postgres, world.mongo.db(), submitted, STOCK);
  const available = async (sku: string) => {
    const { rows } = await world.postgres.query<{ available: number }>(
      'select available from stock where sku = $1',
      [sku],
    );
    return rows[0]?.available;
  };

  beforeAll(async () => {
    world = await openWorld();
    await prepareShop(world.postgres, world.mongo.db(), STOCK);
    worker = await world.startWorker({ updates: [placeOrder] });
  });

  afterAll(async () => {
    await worker.stop();
    await world.close();
  });

  describe('outcomes', () => {
    test('an order is applied in both stores, and takes its pieces from the stock', async () => {
      const before = (await available('kettle')) ?? 0;
      const { outcome } = await place({ sku: 'kettle', quantity: 2, giftNote: 'Enjoy!' });
      expect(outcome).toEqual({ status: 'applied', result: { totalCents: '3998' } });
      expect(await available('kettle')).toBe(before - 2);
      expect(await verdict()).toMatchObject({ divergent: [], both: 1, neither: 0 });
    });

    test('what is sold out is refused before anything is written', async () => {
      const { orderId, outcome } = await place({ sku: 'signed-mug', quantity: 1 });
      expect(outcome).toMatchObject({
        status: 'refused',
        reason: { message: 'signed-mug is sold out' },
      });
      expect(await documents().findOne({ _id: orderId })).toBeNull();
    });

    test('a note that MongoDB refuses is compensated, and the stock is exactly what it was', async () => {
      const before = await available('kettle');
      const { orderId, outcome } = await place({
        sku: 'kettle',
        quantity: 7,
        giftNote: LONG_NOTE,
      });
      expect(outcome).toMatchObject({ status: 'compensated', reason: { code: 'RefusedByMongo' } });
      expect(await available('kettle')).toBe(before);
      const rows = await world.postgres.query('select from orders where id = $1', [orderId]);
      expect(rows.rowCount).toBe(0);
      expect(await documents().findOne({ _id: orderId })).toMatchObject({ _tw: { live: false } });
    });

    test('what the schema refuses never leaves the client, and names the field', async () => {
      const order = { orderId: randomUUID(), sku: 'kettle', quantity: 0 };
      const error = await world.twinwrite
        .execute(placeOrder, order)
        .catch((caught: unknown) => caught as TwinwriteError<'InvalidInput'>);
      expect(error).toMatchObject({
        code: 'InvalidInput',
        fields: { issues: [{ path: 'quantity' }] },
      });
    });

    test('when all is settled, nothing is unsettled', async () => {
      const sent = submitted.length;
      const counted = await countUnsettled(world.postgres, world.mongo.db(), sent);
      expect(counted).toEqual({ unsettled: 0, begun: 0, halfWritten: 0 });
    });
  });

  describe('the verdict', () => {
    let applied: string;
    let compensated: string;

    beforeEach(async () => {
      await world.postgres.query('delete from orders');
      await world.postgres.query(`update stock set available = 100 where sku = 'kettle'`);
      await documents().deleteMany();
      submitted = [];
      applied = (await place({ sku: 'kettle', quantity: 1 })).orderId;
      compensated = (await place({ sku: 'kettle', quantity: 1, giftNote: LONG_NOTE })).orderId;
      expect(await verdict()).toEqual({ updates: 2, both: 1, neither: 1, divergent: [] });
    });

    test('sees a document that was lost', async () => {
      await documents().deleteOne({ _id: applied });
      const divergent = [`${applied}: PostgreSQL has it, MongoDB has not`];
      expect(await verdict()).toEqual({ updates: 2, both: 0, neither: 1, divergent });
    });

    test('sees a field that differs, one that is missing and one too many', async () => {
      await documents().updateOne(
        { _id: applied },
        { $set: { quantity: 9, colour: 'red' }, $unset: { title: '' } },
      );
      const divergent = [`${applied}: the stores differ in title, quantity, colour`];
      expect(await verdict()).toEqual({ updates: 2, both: 0, neither: 1, divergent });
    });

    test('sees a row that was lost, and the stock that no longer adds up', async () => {
      await world.postgres.query('delete from orders where id = $1', [applied]);
      const divergent = [
        `${applied}: MongoDB has it, PostgreSQL has not`,
        'kettle: 100 at first, 0 sold, 99 left',
      ];
      expect(await verdict()).toEqual({ updates: 2, both: 0, neither: 1, divergent });
    });

    test('sees a tombstone that was brought back', async () => {
      await documents().updateOne(
        { _id: compensated },
        { $set: { '_tw.live': true } },
        { bypassDocumentValidation: true },
      );
      const divergent = [`${compensated}: MongoDB has it, PostgreSQL has not`];
      expect(await verdict()).toEqual({ updates: 2, both: 1, neither: 0, divergent });
    });

    test('sees what nobody submitted, in either store', async () => {
      const ghost = randomUUID();
      await world.postgres.query(
        `insert into orders (id, sku, quantity, total_cents, status) values ($1, 'kettle', 1, 1, 'placed')`,
        [ghost],
      );
      await world.postgres.query(`update stock set available = available - 1 where sku = 'kettle'`);
      await documents().insertOne({ _id: 'stray' }, { bypassDocumentValidation: true });
      const divergent = [
        `${ghost}: PostgreSQL has a row that nobody submitted`,
        'stray: MongoDB has a document that nobody submitted',
      ];
      expect(await verdict()).toEqual({ updates: 2, both: 1, neither: 1, divergent });
    });

    test('sees an answer that the stores contradict, either way', async () => {
      submitted = [
        { id: applied, applied: false },
        { id: compensated, applied: true },
      ];
      const { divergent, ...counts } = await verdict();
      expect(counts).toEqual({ updates: 2, both: 0, neither: 0 });
      expect(divergent).toHaveLength(2);
    });
  });
});

describe('the mix of a run', () => {
  test('is the same in every run but for the ids, which no two runs share', () => {
    const [first, second] = [planMix('run-1', 100), planMix('run-2', 100)];
    const withoutIds = ({ orders }: ReturnType<typeof planMix>) =>
      orders.map((order) => ({ ...order, orderId: undefined }));
    expect(withoutIds(first)).toEqual(withoutIds(second));
    expect(first.stock).toEqual(second.stock);
    const ids = new Set([...first.orders, ...second.orders].map(({ orderId }) => orderId));
    // The one that the schema refuses for its id has the same in both.
    expect(ids.size).toBe(199);
  });

  test('has the four kinds of ends in it, and never runs out of what is not limited', () => {
    const { orders, stock } = planMix('run', 100);
    const valid = orders.filter((order) => placeOrder.input.safeParse(order).success);
    expect(valid).toHaveLength(96);
    const refusedByMongo = valid.filter(({ giftNote }) => (giftNote?.length ?? 0) > 120);
    expect(refusedByMongo).toHaveLength(8);
    const short = stock.filter(({ sku, available }) => {
      const wanted = valid.filter((order) => order.sku === sku);
      return available < wanted.reduce((sum, { quantity }) => sum + quantity, 0);
    });
    expect(short.map(({ sku }) => sku)).toEqual(['mug-signed']);
  });
});
