import type { Pool, PoolClient } from 'pg';

/** A row of the ledger that may be collected. Its ticket tells it from a later row of its token. */
export interface OldEntry {
  readonly definition: string;
  readonly token: string;
  /** As a string: a bigint does not survive JSON. */
  readonly ticket: string;
}

export interface OldEntries {
  /** Settled, in the order in which tokens are locked. */
  readonly settled: readonly OldEntry[];
  /** How many are old and not settled. */
  readonly unsettled: number;
}

/** How many blocks the ledger has now: rows that come into later ones are young. */
export async function countLedgerBlocks(postgres: Pool): Promise<number> {
  const { rows } = await postgres.query<{ blocks: number }>(
    /*sql*/ `select ceil(pg_relation_size('twinwrite.ledger') / current_setting('block_size')::numeric)::int as blocks`,
  );
  return rows[0]?.blocks ?? 0;
}

/**
 * Reads the old rows of some blocks of the ledger, without a lock.
 *
 * By blocks and not by an index on `at`, which every claim would pay for (5 % of the claim, measured
 * with a million rows), and not by primary key, whose order is nowhere near that of the heap: a
 * million rows take 0.2 s this way, and 0.8 s by the key when all of them are cached. PostgreSQL
 * before 14 reads the whole table for each call.
 */
export async function readOldEntries(
  postgres: Pool,
  cutoff: Date,
  blocks: { readonly from: number; readonly to: number },
): Promise<OldEntries> {
  const { rows } = await postgres.query<OldEntry & { readonly isSettled: boolean }>(
    /*sql*/ `
      select l.definition, l.token, l.ticket::text,
        l.state <> 'queued' and not exists (select from twinwrite.pending p where p.ticket = l.ticket) as "isSettled"
      from twinwrite.ledger l where l.ctid >= $1::tid and l.ctid < $2::tid and l.at < $3
      order by l.definition, l.token`,
    [`(${blocks.from},0)`, `(${blocks.to},0)`, cutoff],
  );
  const settled = rows.filter(({ isSettled }) => isSettled);
  return { settled, unsettled: rows.length - settled.length };
}

/**
 * Locks those of the rows that are still there, old and settled, to the end of the transaction.
 * Rows that somebody else has locked are left out: another collector, or a claim that asks for the
 * recorded outcome.
 */
export async function lockSettled(
  client: PoolClient,
  entries: readonly OldEntry[],
  cutoff: Date,
): Promise<readonly OldEntry[]> {
  const { rows } = await client.query<OldEntry>(
    /*sql*/ `
      select l.definition, l.token, l.ticket::text from twinwrite.ledger l
      join ${NAMED} on ${IS_NAMED}
      where l.at < $4 and ${IS_SETTLED}
      order by l.definition, l.token for update of l skip locked`,
    [...columnsOf(entries), cutoff],
  );
  return rows;
}

/** Deletes rows that the transaction has locked, and looks once more that they are settled. */
export async function deleteSettled(
  client: PoolClient,
  entries: readonly OldEntry[],
): Promise<number> {
  const { rowCount } = await client.query(
    /*sql*/ `delete from twinwrite.ledger l using ${NAMED} where ${IS_NAMED} and ${IS_SETTLED}`,
    columnsOf(entries),
  );
  return rowCount ?? 0;
}

const NAMED = /*sql*/ `unnest($1::text[], $2::text[], $3::bigint[]) named (definition, token, ticket)`;

/** The ledger's collation, or its primary key would not be used. */
const IS_NAMED = /*sql*/ `l.definition = named.definition collate "C" and l.token = named.token collate "C" and l.ticket = named.ticket`;

const IS_SETTLED = /*sql*/ `l.state <> 'queued' and not exists (select from twinwrite.pending p where p.ticket = l.ticket)`;

function columnsOf(entries: readonly OldEntry[]): string[][] {
  return [
    entries.map(({ definition }) => definition),
    entries.map(({ token }) => token),
    entries.map(({ ticket }) => ticket),
  ];
}
