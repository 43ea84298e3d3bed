import type { Db } from 'mongodb';
import type { Pool } from 'pg';
import { judge, type StoredDocument, type Submitted, type Verdict } from '../support/verdict';

/** What the shop had before the first order. */
export interface InitialStock {
  readonly sku: string;
  readonly available: number;
}

/**
 * Reads both stores and judges the run. It knows the tables and the collection, and nothing of
 * Twinwrite: what it says would hold for any program that wrote them.
 *
 * Beside every order, it holds the stock against the orders: what was there first, less what was
 * sold, is what is left.
 */
export async function readVerdict(
  postgres: Pool,
  db: Db,
  submitted: readonly Submitted[],
  initialStock: readonly InitialStock[],
): Promise<Verdict> {
  const verdict = judge(submitted, {
    rows: await readRows(postgres),
    documents: await readDocuments(db),
  });
  const stockProblems = await findStockProblems(postgres, initialStock);
  return { ...verdict, divergent: [...verdict.divergent, ...stockProblems] };
}

async function readRows(postgres: Pool): Promise<Map<string, Record<string, unknown>>> {
  const { rows } = await postgres.query<Record<string, unknown> & { id: string }>(
    `select orders.id, orders.sku, stock.title, orders.quantity, orders.total_cents, orders.status, orders.gift_note
       from orders left join stock on stock.sku = orders.sku`,
  );
  return new Map(
    rows.map(({ id, total_cents, gift_note, ...same }) => {
      const note = gift_note === null ? {} : { giftNote: gift_note };
      return [id, { _id: id, ...same, totalCents: total_cents, ...note }];
    }),
  );
}

async function readDocuments(db: Db): Promise<Map<string, StoredDocument>> {
  const documents = await db
    .collection<StoredDocument>('orders', { readConcern: 'majority', readPreference: 'primary' })
    .find()
    .toArray();
  return new Map(documents.map((document) => [document._id, document]));
}

async function findStockProblems(
  postgres: Pool,
  initialStock: readonly InitialStock[],
): Promise<string[]> {
  const { rows } = await postgres.query<{ sku: string; available: number; sold: number }>(
    `select stock.sku, stock.available, coalesce(sum(orders.quantity), 0)::int as sold
       from stock left join orders on orders.sku = stock.sku group by stock.sku, stock.available`,
  );
  const left = new Map(rows.map((row) => [row.sku, row]));
  return initialStock.flatMap(({ sku, available }) => {
    const now = left.get(sku);
    if (now?.available === available - (now?.sold ?? 0)) return [];
    return [`${sku}: ${available} at first, ${now?.sold} sold, ${now?.available} left`];
  });
}
