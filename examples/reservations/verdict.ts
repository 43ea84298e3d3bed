import type { Db } from 'mongodb';
import type { Pool } from 'pg';
import { judge, type StoredDocument, type Submitted, type Verdict } from '../support/verdict';
import type { Item } from './prepare';

/**
 * Reads both stores and judges the run, without the product: each reservation is the same in both,
 * and no piece was given away twice or lost.
 */
export async function readVerdict(
  postgres: Pool,
  db: Db,
  submitted: readonly Submitted[],
  items: readonly Item[],
): Promise<Verdict> {
  const { rows } = await postgres.query<Record<string, unknown> & { id: string }>(
    'select id, sku, quantity, status, expires_at from reservation',
  );
  const documents = await db
    .collection<StoredDocument>('reservations', {
      readConcern: 'majority',
      readPreference: 'primary',
    })
    .find()
    .toArray();
  const verdict = judge(submitted, {
    rows: new Map(
      rows.map(({ id, expires_at: expiresAt, ...same }) => [id, { _id: id, ...same, expiresAt }]),
    ),
    documents: new Map(documents.map((document) => [document._id, document])),
  });
  const problems = await findStockProblems(postgres, items);
  return { ...verdict, divergent: [...verdict.divergent, ...problems] };
}

async function findStockProblems(postgres: Pool, items: readonly Item[]): Promise<string[]> {
  const { rows } = await postgres.query<{ sku: string; available: number; taken: number }>(
    `select item.sku, item.available, coalesce(sum(quantity) filter (where status in ('reserved', 'confirmed')), 0)::int as taken
       from item left join reservation using (sku) group by item.sku, item.available`,
  );
  const now = new Map(rows.map((row) => [row.sku, row]));
  return items.flatMap(({ sku, available }) => {
    const { available: left = 0, taken = 0 } = now.get(sku) ?? {};
    if (left + taken === available) return [];
    return [`${sku}: ${available} at first, ${taken} taken, ${left} left`];
  });
}
