import { loadClientConnectConfig } from '@temporalio/envconfig';
import {
  NativeConnection,
  Worker,
  type WorkerOptions as TemporalWorkerOptions,
} from '@temporalio/worker';
import type { MongoClient } from 'mongodb';
import type { Pool } from 'pg';
import type { Logger } from 'pino';
import { createActivities } from './activities';
import { readClientConfig } from './config';
import type { AnyCrossStoreUpdate } from './domain/definition';
import { assertDefinitions } from './worker/definitions';
import { type Health, type HealthOptions, startHealthServer } from './worker/health-server';
import { createLogger } from './worker/logger';
import { WorkerMetrics } from './worker/metrics';
import { observeLegs } from './worker/observe-legs';
import { assertStores, checkStores } from './worker/stores';
import { workflowSource } from './worker/workflow-source';

export interface WorkerOptions {
  /** Every definition whose updates this worker may be handed. */
  readonly updates: readonly AnyCrossStoreUpdate[];
  /** The application's own pool. Its size bounds how many legs run at once. */
  readonly postgres: Pool;
  /** The application's own client; its URI names the database. */
  readonly mongo: MongoClient;
  /** A connection to Temporal that the application has. Left out, `TEMPORAL_*` and `temporal.toml` say where Temporal is. */
  readonly temporal?: { readonly connection: NativeConnection; readonly namespace?: string };
  /** `TWINWRITE_TASK_QUEUE`, or `twinwrite`, unless given. */
  readonly taskQueue?: string;
  /** Where `/live`, `/ready` and `/metrics` answer. No server unless given. */
  readonly health?: HealthOptions;
  /** A pino logger; JSON lines on standard output at level `info` unless given. */
  readonly logger?: Logger;
  /** How long a leg in flight may still take after `shutdown`. The longest leg's timeout and two seconds unless given. */
  readonly shutdownGraceMillis?: number;
  /** For tests of Twinwrite itself: how many workflows are kept in memory. */
  readonly maxCachedWorkflows?: number;
}

/** One member of the pool. */
export interface TwinwriteWorker {
  /** Works until `shutdown`, then drains. Rejects when the worker failed or a leg outlived the grace: exit with a code that is not 0, and let a supervisor start it anew. */
  run(): Promise<void>;
  /** Takes no more work, and lets the legs in flight end. Returns at once; `run` resolves when it is done. */
  shutdown(): void;
  /** Where the health server answers, if there is one. */
  readonly health: Health | undefined;
}

/**
 * Creates a worker over the stores that the application has. Any number of them, in any number of processes, share a task queue; each of them may be killed at any moment.
 *
 * @throws TwinwriteError `InvalidDefinition`, `UnsuitableStore`, `InvalidConfiguration`
 */
export async function createWorker(options: WorkerOptions): Promise<TwinwriteWorker> {
  const { updates, postgres, mongo } = options;
  const logger = options.logger ?? createLogger();
  assertDefinitions(updates);
  await assertStores(postgres, mongo);
  const metrics = new WorkerMetrics();
  const observe = observeLegs(logger, metrics);
  const temporal = await connectToTemporal(options);
  const worker = await Worker.create({
    connection: temporal.connection,
    namespace: temporal.namespace,
    taskQueue: options.taskQueue ?? readClientConfig().taskQueue,
    activities: createActivities({ updates, postgres, mongo, observe }),
    ...workflowSource(),
    ...capacityOf(options),
    ...shutdownTimes(options),
  });
  const ready = async () =>
    worker.getState() === 'RUNNING'
      ? checkStores(postgres, mongo)
      : `the worker is ${worker.getState()}`;
  const health =
    options.health && (await startHealthServer(options.health, { ready, metrics, logger }));
  return {
    health,
    shutdown: () => worker.shutdown(),
    run: async () => {
      try {
        await worker.run();
      } finally {
        await health?.close();
        await temporal.close();
      }
    },
  };
}

/** A leg holds a connection from its first statement to its last: more legs than connections would only queue, and time out in the queue (H21). */
function capacityOf({
  postgres,
  maxCachedWorkflows,
}: WorkerOptions): Partial<TemporalWorkerOptions> {
  return {
    maxConcurrentActivityTaskExecutions: postgres.options.max ?? 10,
    maxCachedWorkflows: maxCachedWorkflows ?? 500,
  };
}

function shutdownTimes({
  updates,
  shutdownGraceMillis,
}: WorkerOptions): Partial<TemporalWorkerOptions> {
  const longestLeg = Math.max(...updates.map(({ legTimeoutMillis }) => legTimeoutMillis));
  const grace = shutdownGraceMillis ?? longestLeg + 2_000;
  return { shutdownGraceTime: grace, shutdownForceTime: grace + 2_000 };
}

async function connectToTemporal({ temporal }: WorkerOptions) {
  if (temporal !== undefined) {
    return {
      connection: temporal.connection,
      namespace: temporal.namespace ?? 'default',
      close: async () => {},
    };
  }
  const { connectionOptions, namespace } = loadClientConnectConfig();
  const connection = await NativeConnection.connect(connectionOptions);
  return { connection, namespace: namespace ?? 'default', close: () => connection.close() };
}
