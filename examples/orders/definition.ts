import { defineCrossStoreUpdate, defineProjection } from 'twinwrite';
import { z } from 'zod';

/**
 * The collection `orders`: what the shop's pages read. It is a function of the tables, and of
 * nothing else.
 */
export const orders = defineProjection({
  collection: 'orders',
  image: async ({ postgres, ids }) => {
    const { rows } = await postgres.query<OrderRow>(
      `select o.id, o.sku, s.title, o.quantity, o.total_cents, o.status, o.gift_note
         from orders o join stock s using (sku) where o.id::text = any($1)`,
      [ids],
    );
    return rows.map((row) => ({
      _id: row.id,
      sku: row.sku,
      title: row.title,
      quantity: row.quantity,
      totalCents: row.total_cents,
      status: row.status,
      ...(row.gift_note === null ? {} : { giftNote: row.gift_note }),
    }));
  },
});

interface OrderRow {
  id: string;
  sku: string;
  title: string;
  quantity: number;
  total_cents: string;
  status: string;
  gift_note: string | null;
}

export const placeOrder = defineCrossStoreUpdate({
  name: 'placeOrder',
  input: z.strictObject({
    orderId: z.uuid(),
    sku: z.string().min(1).max(64),
    quantity: z.int().min(1).max(1_000),
    giftNote: z.string().max(2_000).optional(),
  }),
  token: (input) => input.orderId,
  entities: (input) => [`stock:${input.sku}`],
  postgres: {
    apply: async ({ client, input, refuse }) => {
      const taken = await client.query<{ price_cents: string }>(
        `update stock set available = available - $2 where sku = $1 and available >= $2 returning price_cents`,
        [input.sku, input.quantity],
      );
      const stock = taken.rows[0];
      if (stock === undefined) return refuse(`${input.sku} is sold out`);
      const totalCents = String(BigInt(stock.price_cents) * BigInt(input.quantity));
      await client.query(
        `insert into orders (id, sku, quantity, total_cents, status, gift_note) values ($1, $2, $3, $4, 'placed', $5)`,
        [input.orderId, input.sku, input.quantity, totalCents, input.giftNote ?? null],
      );
      return { totalCents };
    },
    undo: async ({ client, input }) => {
      await client.query('delete from orders where id = $1', [input.orderId]);
      await client.query('update stock set available = available + $2 where sku = $1', [
        input.sku,
        input.quantity,
      ]);
    },
  },
  mongo: { project: (input) => [orders.document(input.orderId)] },
});
