import { MongoClient } from 'mongodb';
import { Pool } from 'pg';
import type { UpdateHandle } from 'twinwrite';
import type { AnyCrossStoreUpdate } from '../../src/domain/definition';
import type { Outcome } from '../../src/domain/outcome';
import type { WorkerOptions } from '../../src/worker';
import { eventually } from './eventually';
import type { Met } from './fault-proxy';
import { type MongoProxy, startMongoProxy } from './mongo-proxy';
import { type PostgresProxy, startPostgresProxy } from './postgres-proxy';
import type { World } from './world';

/** A worker's own way to both stores, in which requests can be lost. */
export interface FaultyStores {
  readonly postgresProxy: PostgresProxy;
  readonly mongoProxy: MongoProxy;
  readonly postgres: Pool;
  readonly mongo: MongoClient;
  startWorker(
    updates: readonly AnyCrossStoreUpdate[],
    options?: Pick<WorkerOptions, 'logger'>,
  ): Promise<void>;
  /** What was held arrives late; when it returns, nothing is left open in either store. */
  release(): Promise<void>;
  close(): Promise<void>;
}

export async function openFaultyStores(world: World): Promise<FaultyStores> {
  const postgresProxy = await startPostgresProxy(world.postgresUrl);
  const mongoProxy = await startMongoProxy(world.mongoUri);
  const postgres = new Pool({
    connectionString: postgresProxy.url,
    max: 16,
    application_name: world.name,
  });
  const mongo = new MongoClient(mongoProxy.uri, {
    appName: world.name,
    serverSelectionTimeoutMS: 2_000,
  });
  let stop = async () => {};
  return {
    postgresProxy,
    mongoProxy,
    postgres,
    mongo,
    startWorker: async (updates, options) => {
      const worker = await world.startWorker({ updates, postgres, mongo, ...options });
      stop = worker.stop;
    },
    release: async () => {
      postgresProxy.release();
      mongoProxy.release();
      await assertNothingOpen(world, postgres);
    },
    close: async () => {
      await stop();
      await postgres.end();
      await mongo.close(true);
      await Promise.all([postgresProxy.close(), mongoProxy.close()]);
    },
  };
}

/** No connection is left checked out or in a transaction, and no MongoDB transaction is open. */
export async function assertNothingOpen(world: World, pool: Pool): Promise<void> {
  await eventually(
    () => pool.idleCount === pool.totalCount && pool.waitingCount === 0,
    'every connection is back in its pool',
    5_000,
  );
  await eventually(
    async () => (await openPostgresTransactions(world)) === 0,
    'no connection to PostgreSQL is left in a transaction',
    5_000,
  );
  await eventually(
    async () => (await openMongoTransactions(world)) === 0,
    'no transaction in MongoDB is left open',
    5_000,
  );
}

async function openPostgresTransactions(world: World): Promise<number> {
  const { rows } = await world.postgres.query(
    `select from pg_stat_activity
      where datname = current_database() and pid <> pg_backend_pid() and xact_start is not null`,
  );
  return rows.length;
}

async function openMongoTransactions({ mongo, name }: World): Promise<number> {
  const open = await mongo
    .db('admin')
    .aggregate([
      { $currentOp: { idleSessions: true } },
      { $match: { appName: name, 'transaction.parameters.autocommit': false } },
    ])
    .toArray();
  return open.length;
}

/** What was in doubt is resolved within this time of the fault, whatever it was. */
const RESOLVED_WITHIN_MILLIS = 5_000;

/** Waits for an outcome, which nothing but the deadline can keep from coming. */
export async function outcomeOf(
  handle: UpdateHandle,
  withinMillis = RESOLVED_WITHIN_MILLIS,
): Promise<Outcome> {
  return await outcomeOnce(watch(handle), withinMillis);
}

/**
 * The clock starts when the last of the faults is over. A driver may need fewer than were planned,
 * but not none.
 */
export async function outcomeAfter(
  { met, times }: { readonly met: Met; readonly times: number },
  handle: UpdateHandle,
): Promise<Outcome> {
  const outcome = await outcomeOnceOver(() => met.times === times, handle);
  if (met.times === 0) throw new Error('the fault was not met');
  return outcome;
}

export async function outcomeOnceOver(
  isOver: () => boolean | Promise<boolean>,
  handle: UpdateHandle,
): Promise<Outcome> {
  const answer = watch(handle);
  await eventually(
    async () => (await isOver()) || answer() !== undefined || undefined,
    'the faults are over',
  );
  return await outcomeOnce(answer, RESOLVED_WITHIN_MILLIS);
}

type Answer = { readonly outcome: Outcome } | { readonly failure: unknown };

function watch(handle: UpdateHandle): () => Answer | undefined {
  let answer: Answer | undefined;
  handle.outcome().then(
    (outcome) => (answer = { outcome }),
    (failure: unknown) => (answer = { failure }),
  );
  return () => answer;
}

async function outcomeOnce(
  answer: () => Answer | undefined,
  withinMillis: number,
): Promise<Outcome> {
  const known = await eventually(answer, 'the update is settled', withinMillis);
  if ('failure' in known) throw known.failure;
  return known.outcome;
}

/**
 * Runs every case, some at a time: their faults mostly wait. The answer is asked for case by case.
 */
export function runSome<Case, Result>(
  cases: readonly Case[],
  atATime: number,
  run: (one: Case) => Promise<Result>,
): (one: Case) => Promise<Result> {
  const results = new Map<Case, Promise<Result>>();
  const lanes: Promise<unknown>[] = Array.from({ length: atATime }, () => Promise.resolve());
  for (const [index, one] of cases.entries()) {
    const lane = index % atATime;
    const result = (lanes[lane] ?? Promise.resolve()).then(() => run(one));
    lanes[lane] = result.catch(() => {});
    results.set(one, result);
  }
  return async (one) => {
    const result = results.get(one);
    if (result === undefined) throw new Error('this case was not started');
    return await result;
  };
}
