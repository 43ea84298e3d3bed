import { createHash } from 'node:crypto';
import type { Db } from 'mongodb';
import type { Pool } from 'pg';

/**
 * Which version of which row and document the stores hold: equal before and after means that
 * nothing was written, not even the same again.
 */
export interface Snapshot {
  readonly ledgerRows: number;
  readonly rows: number;
  readonly documents: number;
  /** Over every row's own version in PostgreSQL and every document's in MongoDB. */
  readonly fingerprint: string;
}

const TABLES = ['twinwrite.ledger', 'movie', 'distributor', 'director', 'genre'] as const;

export async function takeSnapshot(postgres: Pool, db: Db): Promise<Snapshot> {
  const hash = createHash('sha256');
  const counts = new Map<string, number>();
  for (const table of TABLES) {
    // xmin is the transaction that wrote this version of the row.
    const { rows } = await postgres.query<{ version: string }>(
      `select ctid::text || ' ' || xmin::text as version from ${table} order by ctid`,
    );
    counts.set(table, rows.length);
    for (const { version } of rows) hash.update(`${table} ${version}\n`);
  }
  const documents = await db
    .collection<{ _id: string; _tw: { version: bigint } }>('movies')
    .find({}, { projection: { '_tw.version': 1 }, useBigInt64: true, readConcern: 'majority' })
    .sort({ _id: 1 })
    .toArray();
  for (const { _id, _tw } of documents) hash.update(`${_id} ${_tw.version}\n`);
  return {
    ledgerRows: counts.get('twinwrite.ledger') ?? 0,
    rows: counts.get('movie') ?? 0,
    documents: documents.length,
    fingerprint: hash.digest('hex'),
  };
}
