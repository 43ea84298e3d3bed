import { setTimeout as pause } from 'node:timers/promises';
import type { Pool, PoolClient } from 'pg';
import { isDatabaseError } from './errors';
import { ledger } from './migrations/0001-ledger';
import { queue } from './migrations/0002-queue';
import { protocol } from './migrations/0003-protocol';
import { views } from './migrations/0004-views';
import { janitor } from './migrations/0005-janitor';
import { epochs } from './migrations/0006-epochs';
import { outbox } from './migrations/0007-outbox';
import { guards } from './migrations/0008-guards';
import { explorerFindings } from './migrations/0009-explorer-findings';
import { interventions } from './migrations/0010-interventions';

export interface Migration {
  readonly version: number;
  readonly name: string;
  readonly sql: string;
}

/** All of them, in order. */
export const migrations: readonly Migration[] = [
  ledger,
  queue,
  protocol,
  views,
  janitor,
  epochs,
  outbox,
  guards,
  explorerFindings,
  interventions,
];

/** Where the migrations are recorded. */
export const BOOTSTRAP = /*sql*/ `
create schema if not exists twinwrite;
create table if not exists twinwrite.migration (
  version int primary key, name text not null, at timestamptz not null default now()
);
`;

/**
 * The tables and sequences that the migrations create. The schema alone does not tell: a role that
 * is called `twinwrite` has it first in its search path, and makes the application's tables there.
 */
export function ownRelations(): ReadonlySet<string> {
  const all = [BOOTSTRAP, ...migrations.map(({ sql }) => sql)].join('\n');
  const created = all.matchAll(/create (?:table|sequence) (?:if not exists )?twinwrite\.(\w+)/g);
  return new Set([...created].map(([, name = '']) => name));
}

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
    for (const migration of missing) await applyBesideLegs(client, migration);
    await client.query(`select pg_advisory_unlock(${ADVISORY_LOCK})`);
    client.release();
    return missing;
  } catch (error) {
    // A closed connection rolls back and lets go of the lock.
    client.release(true);
    throw error;
  }
}

/**
 * A leg in flight holds locks on our tables, and whoever comes after a migration that waits for
 * them waits behind it. So it waits for less than a leg would (one second), lets those pass who
 * came meanwhile, and asks again.
 */
const LOCK_WAIT_MILLIS = 200;
const LOCK_PAUSE_MILLIS = 300;
const LOCK_PATIENCE_MILLIS = 5 * 60_000;
const LOCK_NOT_AVAILABLE = '55P03';
const DEADLOCK = '40P01';

async function applyBesideLegs(client: PoolClient, migration: Migration): Promise<void> {
  const untilMillis = performance.now() + LOCK_PATIENCE_MILLIS;
  for (;;) {
    try {
      await apply(client, migration);
      return;
    } catch (error) {
      const isBusy = isDatabaseError(error) && [LOCK_NOT_AVAILABLE, DEADLOCK].includes(error.code);
      if (!isBusy || performance.now() > untilMillis) throw error;
      await client.query('rollback');
      await pause(LOCK_PAUSE_MILLIS);
    }
  }
}

async function apply(client: PoolClient, { version, name, sql }: Migration): Promise<void> {
  await client.query(`begin; set local lock_timeout = ${LOCK_WAIT_MILLIS}`);
  await client.query(sql);
  await client.query('insert into twinwrite.migration (version, name) values ($1, $2)', [
    version,
    name,
  ]);
  await client.query('commit');
}
