import type { Db } from 'mongodb';
import { STORE_COLLECTION, storeOf } from './epoch';
import { LEDGER_COLLECTION } from './ledger';
import { TRANSACTIONS_COLLECTION } from './orphans';

export interface Migration {
  readonly version: number;
  readonly name: string;
  readonly collections: readonly string[];
}

const migrations: readonly Migration[] = [
  { version: 1, name: 'ledger', collections: [LEDGER_COLLECTION, STORE_COLLECTION] },
  { version: 2, name: 'transactions', collections: [TRANSACTIONS_COLLECTION] },
];

/** The migrations that a database lacks, in order. It reads only. */
export async function pendingMigrations(db: Db): Promise<readonly Migration[]> {
  // The application's client may read from secondaries: a worker must not miss what was migrated
  // a moment ago, nor see what a failover takes back.
  const store = await storeOf(db).findOne(
    { _id: 1 },
    { readConcern: 'majority', readPreference: 'primary' },
  );
  const reached = store?.migration ?? 0;
  return migrations.filter(({ version }) => version > reached);
}

/**
 * Brings Twinwrite's own collections up to date; touches nothing else. Each step may run again,
 * since MongoDB has no transaction around the creation of collections; the version is recorded
 * last. May run in several processes at once.
 */
export async function migrateMongo(db: Db): Promise<readonly Migration[]> {
  const missing = await pendingMigrations(db);
  for (const { version, collections } of missing) {
    for (const name of collections) await ensureCollection(db, name);
    await storeOf(db).updateOne(
      { _id: 1 },
      { $setOnInsert: { epoch: 0, tick: 0, postgresTick: 0 }, $max: { migration: version } },
      { upsert: true, writeConcern: { w: 'majority', journal: true } },
    );
  }
  return missing;
}

async function ensureCollection(db: Db, name: string): Promise<void> {
  const present = await db.listCollections({ name }, { nameOnly: true }).hasNext();
  if (present) return;
  try {
    await db.createCollection(name, { writeConcern: { w: 'majority', journal: true } });
  } catch (error) {
    // Another migrator created it in between.
    if ((error as { codeName?: unknown }).codeName !== 'NamespaceExists') throw error;
  }
}
