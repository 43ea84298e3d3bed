import type { MongoClient } from 'mongodb';
import type { Pool } from 'pg';
import { pendingMigrations as pendingMongo } from '../activities/mongo/migrate';
import { findUnsuitableIndex } from '../activities/mongo/projection-indexes';
import { pendingMigrations as pendingPostgres } from '../activities/postgres/migrate';
import { TwinwriteError } from '../domain/errors';
import type { Projection } from '../domain/projection';

/**
 * How long a store may take to answer a first question. A pool without a time-out of its own would
 * wait for ever.
 */
const ANSWER_WITHIN_MILLIS = 10_000;

/**
 * Makes sure, before any work is taken, that both stores can carry cross-store updates.
 *
 * @throws TwinwriteError `UnsuitableStore`
 */
export async function assertStores(
  postgres: Pool,
  mongo: MongoClient,
  projections: readonly Projection[] = [],
): Promise<void> {
  await assertPostgres(postgres);
  await assertMongo(mongo);
  for (const projection of projections) {
    const unsuitable = await answerOf('MongoDB', findUnsuitableIndex(mongo.db(), projection));
    if (unsuitable !== undefined) throw unsuitable;
  }
}

async function assertPostgres(postgres: Pool): Promise<void> {
  const missing = await answerOf('PostgreSQL', pendingPostgres(postgres));
  if (missing.length === 0) return;
  const problem = `its schema "twinwrite" lacks ${describeMissing(missing)}; run "twinwrite migrate".`;
  throw new TwinwriteError('UnsuitableStore', { store: 'PostgreSQL', problem });
}

async function assertMongo(mongo: MongoClient): Promise<void> {
  const db = mongo.db();
  const hello = await answerOf('MongoDB', db.command({ hello: 1 }));
  if (hello['setName'] === undefined && hello['msg'] !== 'isdbgrid') {
    const problem =
      'it is a standalone server, which has no transactions; start it with --replSet and run rs.initiate().';
    throw new TwinwriteError('UnsuitableStore', { store: 'MongoDB', problem });
  }
  const missing = await answerOf('MongoDB', pendingMongo(db));
  if (missing.length === 0) return;
  const problem = `its database "${db.databaseName}" lacks ${describeMissing(missing)}; run "twinwrite migrate".`;
  throw new TwinwriteError('UnsuitableStore', { store: 'MongoDB', problem });
}

async function answerOf<Answer>(
  store: 'PostgreSQL' | 'MongoDB',
  question: Promise<Answer>,
): Promise<Answer> {
  try {
    return await within(ANSWER_WITHIN_MILLIS, question);
  } catch (cause) {
    const problem = `it does not answer (${describe(cause)}); check that it runs, and that its address and credentials are right.`;
    throw new TwinwriteError('UnsuitableStore', { store, problem }, { cause });
  }
}

function describe(error: unknown): string {
  // A host name with several addresses fails once for each, and says nothing itself.
  if (error instanceof AggregateError) return describe(error.errors[0]);
  return error instanceof Error ? error.message : 'no answer';
}

function describeMissing(missing: readonly { readonly name: string }[]): string {
  const names = missing.map(({ name }) => `"${name}"`).join(', ');
  return missing.length === 1 ? `the migration ${names}` : `the migrations ${names}`;
}

/** The answer, or an error when it takes longer. */
export async function within<Answer>(millis: number, answer: Promise<Answer>): Promise<Answer> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`no answer within ${millis} ms`)), millis);
  });
  try {
    return await Promise.race([answer, late]);
  } finally {
    clearTimeout(timer);
  }
}
