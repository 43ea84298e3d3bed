import type { MongoClient } from 'mongodb';
import type { Pool } from 'pg';
import { pendingMigrations as pendingMongo } from '../activities/mongo/migrate';
import { pendingMigrations as pendingPostgres } from '../activities/postgres/migrate';
import { TwinwriteError } from '../domain/errors';

/**
 * Makes sure, before any work is taken, that both stores can carry cross-store updates.
 *
 * @throws TwinwriteError `UnsuitableStore`
 */
export async function assertStores(postgres: Pool, mongo: MongoClient): Promise<void> {
  await assertPostgres(postgres);
  await assertMongo(mongo);
}

/** Says why the worker is not ready, or nothing when both stores answer. */
export async function checkStores(postgres: Pool, mongo: MongoClient): Promise<string | undefined> {
  const [postgresAnswer, mongoAnswer] = await Promise.allSettled([
    postgres.query('select 1'),
    mongo.db().command({ ping: 1 }, { timeoutMS: 2_000 }),
  ]);
  if (postgresAnswer.status === 'rejected') return 'PostgreSQL does not answer';
  if (mongoAnswer.status === 'rejected') return 'MongoDB does not answer';
  return undefined;
}

async function assertPostgres(postgres: Pool): Promise<void> {
  const missing = await pendingPostgres(postgres).catch(unsuitable('PostgreSQL'));
  if (missing.length === 0) return;
  const problem = `its schema "twinwrite" lacks ${missing.length} migrations; run "twinwrite migrate".`;
  throw new TwinwriteError('UnsuitableStore', { store: 'PostgreSQL', problem });
}

async function assertMongo(mongo: MongoClient): Promise<void> {
  const db = mongo.db();
  const hello = await db.command({ hello: 1 }).catch(unsuitable('MongoDB'));
  if (hello['setName'] === undefined && hello['msg'] !== 'isdbgrid') {
    const problem =
      'it is a standalone server, which has no transactions; start it with --replSet and run rs.initiate().';
    throw new TwinwriteError('UnsuitableStore', { store: 'MongoDB', problem });
  }
  const missing = await pendingMongo(db).catch(unsuitable('MongoDB'));
  if (missing.length === 0) return;
  const problem = `its database "${db.databaseName}" lacks ${missing.length} migrations; run "twinwrite migrate".`;
  throw new TwinwriteError('UnsuitableStore', { store: 'MongoDB', problem });
}

function unsuitable(store: 'PostgreSQL' | 'MongoDB') {
  return (cause: unknown): never => {
    const text = cause instanceof Error ? cause.message : 'no answer';
    throw new TwinwriteError(
      'UnsuitableStore',
      { store, problem: `it does not answer (${text}).` },
      { cause },
    );
  };
}
