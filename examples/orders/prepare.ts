import type { Db } from 'mongodb';
import type { Pool } from 'pg';

export interface StockItem {
  readonly sku: string;
  readonly title: string;
  readonly priceCents: string;
  readonly available: number;
}

/**
 * What the shop's own migrations would do: its tables, its collection with a rule of its own, its
 * stock.
 */
export async function prepareShop(
  postgres: Pool,
  db: Db,
  stock: readonly StockItem[],
): Promise<void> {
  await postgres.query(`
    create table if not exists stock (
      sku text primary key, title text not null, price_cents bigint not null, available int not null check (available >= 0)
    );
    create table if not exists orders (
      id uuid primary key, sku text not null references stock, quantity int not null, total_cents bigint not null,
      status text not null, gift_note text, placed_at timestamptz not null default now()
    )`);
  for (const { sku, title, priceCents, available } of stock) {
    await postgres.query(
      `insert into stock (sku, title, price_cents, available) values ($1, $2, $3, $4) on conflict (sku) do nothing`,
      [sku, title, priceCents, available],
    );
  }
  const exists = await db.listCollections({ name: 'orders' }).hasNext();
  if (!exists) await db.createCollection('orders', { validator: ORDER_RULE });
}

/**
 * MongoDB's own rule, which Postgres does not know: a note that is printed on a gift card has at
 * most 120 characters.
 */
const ORDER_RULE = {
  $jsonSchema: {
    required: ['sku', 'quantity', 'totalCents', 'status'],
    properties: { giftNote: { bsonType: 'string', maxLength: 120 } },
  },
};
