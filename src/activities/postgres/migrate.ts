import type { Pool } from 'pg';
import { ledger } from './migrations/0001-ledger';

export interface Migration {
  readonly version: number;
  readonly name: string;
  readonly sql: string;
}

const migrations: readonly Migration[] = [ledger];

/** Where the migrations are recorded. */
export const BOOTSTRAP = /*sql*/ `
create schema if not exists twinwrite;
create table if not exists twinwrite.migration (
  version int primary key, name text not null, at timestamptz not null default now()
);
`;

/** Two migrators at once: the second waits here. The number is arbitrary and ours. */
const ADVISORY_LOCK = '7303017405915';

/** The migrations that a database lacks, in order. It reads only. */
export async function pendingMigrations(pool: Pool): Promise<readonly Migration[]> {
  const exists = await pool.query<{ present: boolean }>(
    `select to_regclass('twinwrite.migration') is not null as present`,
  );
  if (exists.rows[0]?.present !== true) return migrations;
  const applied = await pool.query<{ version: number }>('select version from twinwrite.migration');
  const versions = new Set(applied.rows.map((row) => row.version));
  return migrations.filter(({ version }) => !versions.has(version));
}

/**
 * Brings the schema `twinwrite` up to date; touches nothing else. Each migration commits together
 * with its record, so an interrupt leaves none half applied. May run any number of times and in
 * several processes at once.
 */
export async function migratePostgres(pool: Pool): Promise<readonly Migration[]> {
  const client = await pool.connect();
  try {
    await client.query(`select pg_advisory_lock(${ADVISORY_LOCK})`);
    await client.query(BOOTSTRAP);
    const missing = await pendingMigrations(pool);
    for (const { version, name, sql } of missing) {
      await client.query('begin');
      await client.query(sql);
      await client.query('insert into twinwrite.migration (version, name) values ($1, $2)', [
        version,
        name,
      ]);
      await client.query('commit');
    }
    await client.query(`select pg_advisory_unlock(${ADVISORY_LOCK})`);
    client.release();
    return missing;
  } catch (error) {
    // A closed connection rolls back and lets go of the lock.
    client.release(true);
    throw error;
  }
}
