import type { Pool } from 'pg';

export interface Item {
  readonly sku: string;
  readonly available: number;
}

/** What the shop's own migrations would do. */
export async function prepareShop(postgres: Pool, items: readonly Item[]): Promise<void> {
  await postgres.query(`
    create table if not exists item (sku text primary key, available int not null check (available >= 0));
    create table if not exists reservation (
      id uuid primary key, sku text not null references item, quantity int not null, status text not null, expires_at timestamptz not null
    );
    create index if not exists reservation_overdue on reservation (expires_at) where status = 'reserved'`);
  for (const { sku, available } of items) {
    await postgres.query(
      'insert into item (sku, available) values ($1, $2) on conflict do nothing',
      [sku, available],
    );
  }
}
