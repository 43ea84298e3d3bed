import { randomUUID } from 'node:crypto';
import type { Client } from '@temporalio/client';
import { TestWorkflowEnvironment } from '@temporalio/testing';
import { DefaultLogger, makeTelemetryFilterString, Runtime } from '@temporalio/worker';
import { MongoClient } from 'mongodb';
import { Pool } from 'pg';
import pino from 'pino';
import { migrateMongo } from '../../src/activities/mongo/migrate';
import { migratePostgres } from '../../src/activities/postgres/migrate';
import { Twinwrite } from '../../src/client';
import { createWorker, type TwinwriteWorker, type WorkerOptions } from '../../src/worker';
import { eventually } from './eventually';
import { type StackAddresses, stackAddresses } from './stack-addresses';

/**
 * One test file's own database, collections and task queue on the servers that the run started.
 * `close` throws when something of it was leaked.
 */
export interface World {
  readonly name: string;
  readonly addresses: StackAddresses;
  readonly postgresUrl: string;
  readonly mongoUri: string;
  readonly postgres: Pool;
  readonly mongo: MongoClient;
  readonly temporal: Client;
  readonly twinwrite: Twinwrite;
  startWorker(options: StartWorkerOptions): Promise<RunningWorker>;
  close(): Promise<void>;
}

type StartWorkerOptions = Pick<WorkerOptions, 'updates'> & Partial<WorkerOptions>;

export interface RunningWorker extends TwinwriteWorker {
  /** Drains it and waits for its end. */
  stop: () => Promise<void>;
}

export async function openWorld(): Promise<World> {
  quietTemporal();
  const addresses = stackAddresses();
  const name = `test_${randomUUID().replaceAll('-', '').slice(0, 12)}`;
  await administer(addresses, `create database ${name}`);
  const postgresUrl = withDatabase(addresses.postgresUrl, name);
  const mongoUri = withDatabase(addresses.mongoUri, name);
  const postgres = new Pool({ connectionString: postgresUrl, max: 16, application_name: name });
  const mongo = new MongoClient(mongoUri, { appName: name, serverSelectionTimeoutMS: 2_000 });
  await migratePostgres(postgres);
  await migrateMongo(mongo.db());
  const environment = await TestWorkflowEnvironment.createFromExistingServer({
    address: addresses.temporalAddress,
  });
  const temporal = environment.client;
  const twinwrite = await Twinwrite.connect({
    client: temporal,
    taskQueue: name,
    ...(addresses.temporalWebUrl === undefined ? {} : { webUi: addresses.temporalWebUrl }),
  });
  const workers = new Set<RunningWorker>();

  const startWorker = async (options: StartWorkerOptions): Promise<RunningWorker> => {
    const logger = pino({ level: 'silent' });
    const worker = await createWorker({
      postgres,
      mongo,
      logger,
      taskQueue: name,
      temporal: { connection: environment.nativeConnection },
      ...options,
    });
    const done = worker.run();
    const running: RunningWorker = {
      ...worker,
      run: () => done,
      stop: async () => {
        worker.shutdown();
        await done;
        workers.delete(running);
      },
    };
    workers.add(running);
    return running;
  };

  const close = async (): Promise<void> => {
    const leakedWorkers = workers.size;
    await Promise.all([...workers].map((worker) => worker.stop()));
    await twinwrite.close();
    await environment.teardown();
    await postgres.end();
    await mongo.db().dropDatabase();
    await mongo.close();
    await assertNothingLeaked(addresses, name, leakedWorkers);
    await administer(addresses, `drop database ${name}`);
  };

  return {
    name,
    addresses,
    postgresUrl,
    mongoUri,
    postgres,
    mongo,
    temporal,
    twinwrite,
    startWorker,
    close,
  };
}

async function assertNothingLeaked(
  addresses: StackAddresses,
  name: string,
  leakedWorkers: number,
): Promise<void> {
  if (leakedWorkers > 0)
    throw new Error(`${leakedWorkers} workers of this test file were not stopped`);
  const admin = new Pool({ connectionString: addresses.postgresUrl, max: 1 });
  const mongo = new MongoClient(addresses.mongoUri);
  try {
    // A server notices a closed connection a moment after it was closed.
    await eventually(async () => {
      const sessions = await admin.query('select 1 from pg_stat_activity where datname = $1', [
        name,
      ]);
      return sessions.rowCount === 0 ? true : undefined;
    }, `the sessions of ${name} in PostgreSQL are closed: a pool or client was leaked`);
    await eventually(async () => {
      const operations = await mongo
        .db('admin')
        .aggregate([{ $currentOp: { idleConnections: true } }, { $match: { appName: name } }])
        .toArray();
      return operations.length === 0 ? true : undefined;
    }, `the connections of ${name} in MongoDB are closed: a client was leaked`);
  } finally {
    await admin.end();
    await mongo.close();
  }
}

async function administer(addresses: StackAddresses, sql: string): Promise<void> {
  const admin = new Pool({ connectionString: addresses.postgresUrl, max: 1 });
  try {
    await admin.query(sql);
  } finally {
    await admin.end();
  }
}

function withDatabase(url: string, database: string): string {
  const changed = new URL(url);
  changed.pathname = `/${database}`;
  return changed.toString();
}

let isQuiet = false;

/**
 * Tests provoke failures on purpose; Temporal's own log would bury what the run prints. The native
 * runtime keeps its process alive, so only who opens a world has one.
 */
function quietTemporal(): void {
  if (isQuiet) return;
  isQuiet = true;
  Runtime.install({
    logger: new DefaultLogger('ERROR'),
    telemetryOptions: {
      logging: {
        filter: makeTelemetryFilterString({ core: 'ERROR', other: 'ERROR' }),
        forward: {},
      },
    },
  });
}
