import { type NativeConnection, Worker } from '@temporalio/worker';
import type { MongoClient } from 'mongodb';
import type { Pool } from 'pg';
import type { Logger } from 'pino';
import { createActivities } from './activities';
import { createAttempts } from './activities/attempts';
import { watchCollections } from './activities/collection-owners';
import { EpochCheck } from './activities/epoch-check';
import { readClientConfig } from './config';
import type { AnyCrossStoreUpdate } from './domain/definition';
import type { Projection } from './domain/projection';
import { assertDefinitions } from './worker/definitions';
import { EpochWatch } from './worker/epoch-watch';
import { guardPool } from './worker/guard-stores';
import { type Health, type HealthOptions, startHealthServer } from './worker/health-server';
import { Janitor } from './worker/janitor';
import { createLogger, withSafeErrors } from './worker/logger';
import { WorkerMetrics } from './worker/metrics';
import { observeLegs } from './worker/observe-legs';
import { observeOutcomes } from './worker/observe-outcomes';
import { Readiness } from './worker/readiness';
import { Relay } from './worker/relay';
import { Releases } from './worker/releases';
import { assertStores } from './worker/stores';
import { connectToTemporal } from './worker/temporal-connection';
import { whyItEnded } from './worker/temporal-errors';
import { capacityOf, drainOf } from './worker/tuning';
import { Turns } from './worker/turns';
import { workflowSource } from './worker/workflow-source';

export interface WorkerOptions {
  /** Every definition whose updates this worker may be handed. */
  readonly updates: readonly AnyCrossStoreUpdate[];
  /**
   * The projections that they share: the worker refuses to start with a unique index that has
   * tombstones in it, and says how to mend it.
   */
  readonly projections?: readonly Projection[];
  /**
   * The application's own pool. Its size bounds how many legs run at once. Beside it the worker
   * opens one connection with the pool's options, to hear of updates that transactions enlist.
   */
  readonly postgres: Pool;
  /** The application's own client; its URI names the database. */
  readonly mongo: MongoClient;
  /**
   * A connection to Temporal that the application has. Left out, `TEMPORAL_*` and `temporal.toml`
   * say where Temporal is.
   */
  readonly temporal?: { readonly connection: NativeConnection; readonly namespace?: string };
  /** `TWINWRITE_TASK_QUEUE`, or `twinwrite`, unless given. */
  readonly taskQueue?: string;
  /** Where `/live`, `/ready` and `/metrics` answer. No server unless given. */
  readonly health?: HealthOptions;
  /** A pino logger; JSON lines on standard output at level `info` unless given. */
  readonly logger?: Logger;
  /**
   * How long a leg in flight may still take after `shutdown`. The longest leg's timeout and two
   * seconds unless given.
   */
  readonly shutdownGraceMillis?: number;
  /** For tests of Twinwrite itself: how many workflows are kept in memory. */
  readonly maxCachedWorkflows?: number;
}

/** One member of the pool. */
export interface TwinwriteWorker {
  /**
   * Works until `shutdown`, then drains. Once only. Rejects when the worker failed or a leg
   * outlived the grace: exit with a code that is not 0, and let a supervisor start it anew.
   *
   * @throws TwinwriteError `Unavailable` when Temporal refuses it for good, while one that is only
   * away is waited for; Temporal's `GracefulShutdownPeriodExpiredError` when a leg outlived the
   * grace.
   */
  run(): Promise<void>;
  /**
   * Takes no more work, and lets the legs in flight end. Returns at once; `run` resolves when it is
   * done. May be called at any time and again.
   */
  shutdown(): void;
  /** Where the health server answers, if there is one. */
  readonly health: Health | undefined;
}

/**
 * Creates a worker over the stores that the application has. Any number of them, in any number of
 * processes, share a task queue; each of them may be killed at any moment. Each has a janitor, which
 * settles within seconds what was begun by a workflow that was terminated, deleted, timed out or
 * lost with Temporal's database; it asks Temporal nothing.
 *
 * When it throws, everything that it opened is closed again. It opens nothing that outlives `run`,
 * and never closes the pool, the client or the connection that it was given.
 *
 * @throws TwinwriteError `InvalidDefinition`, `UnsuitableStore`, `InvalidConfiguration`,
 * `Unavailable`
 */
export async function createWorker(options: WorkerOptions): Promise<TwinwriteWorker> {
  const { updates, postgres, mongo } = options;
  assertDefinitions(updates);
  const owned = watchCollections(updates, options.projections);
  const logger = withSafeErrors(options.logger ?? createLogger());
  const opened = new Releases(logger);
  try {
    opened.add('the guard of the pool', guardPool(postgres, logger));
    await assertStores(postgres, mongo, options.projections);
    const temporal = await connectToTemporal(options.temporal);
    const { connection, namespace } = temporal;
    opened.add('the connection to Temporal', () => temporal.close());
    const turns = new Turns(temporal, postgres, logger);
    opened.add('the calls under way', () => turns.close());
    const metrics = new WorkerMetrics(postgres);
    const epochs = new EpochWatch(new EpochCheck({ postgres, mongo }), metrics, logger);
    opened.add('the watch over the epochs', () => epochs.close());
    await epochs.start();
    const steps = {
      updates: owned,
      postgres,
      mongo,
      observe: observeLegs(logger, metrics),
      callTurns: turns.call,
    };
    const attempts = createAttempts(steps);
    const janitor = new Janitor({ updates, postgres, attempts, metrics, logger });
    opened.add('the janitor', () => janitor.close());
    const taskQueue = options.taskQueue ?? readClientConfig().taskQueue;
    const relay = new Relay({ temporal, postgres, taskQueue, metrics: metrics.outbox, logger });
    opened.add('the relay of enlisted updates', () => relay.close());
    const readiness = new Readiness({ postgres, mongo, temporal: connection });
    const findProblem = async () => {
      const state = worker?.getState() ?? 'STARTING';
      if (state !== 'RUNNING') return `the worker is ${state}`;
      return (await readiness.findProblem()) ?? epochs.findProblem();
    };
    let worker: Worker | undefined;
    const health =
      options.health && (await startHealthServer(options.health, { findProblem, metrics, logger }));
    opened.add('the health server', async () => health?.close());
    // Last, since a worker that never runs cannot be released.
    worker = await Worker.create({
      connection,
      namespace,
      taskQueue,
      activities: createActivities(steps),
      sinks: observeOutcomes(logger, metrics),
      ...(await workflowSource()),
      ...capacityOf({
        connections: postgres.options.max ?? 10,
        maxCachedWorkflows: options.maxCachedWorkflows,
      }),
      ...drainOf(updates, options.shutdownGraceMillis),
    });
    return memberOf(worker, [turns, janitor, relay], health, opened);
  } catch (error) {
    await opened.release();
    throw error;
  }
}

function memberOf(
  worker: Worker,
  timed: readonly { start(): void; stop?(): void }[],
  health: Health | undefined,
  opened: Releases,
): TwinwriteWorker {
  let shallStop = false;
  // Temporal's worker throws when it is told to stop before it runs, or twice.
  const stop = () => {
    if (worker.getState() === 'RUNNING') worker.shutdown();
  };
  return {
    health,
    shutdown: () => {
      shallStop = true;
      for (const each of timed) each.stop?.();
      stop();
    },
    run: async () => {
      try {
        const running = worker.run();
        for (const each of timed) each.start();
        if (shallStop) stop();
        await running;
      } catch (error) {
        throw whyItEnded(worker, error);
      } finally {
        await opened.release();
      }
    },
  };
}

export { runUntilSignal } from './worker/run-until-signal';
export { installTelemetry } from './worker/telemetry';
