import type { WorkerOptions as TemporalWorkerOptions } from '@temporalio/worker';
import type { AnyCrossStoreUpdate } from '../domain/definition';

/** How far Temporal's own time-out of a drain lies behind the grace. */
const FORCE_AFTER_MILLIS = 2_000;

interface Capacity {
  readonly connections: number;
  readonly maxCachedWorkflows: number | undefined;
}

/** How much one worker takes on at a time. */
export function capacityOf({ connections, maxCachedWorkflows }: Capacity) {
  return {
    // A leg holds a connection from its first statement to its last: more legs than connections
    // would only queue, and time out in the queue (H21).
    maxConcurrentActivityTaskExecutions: connections,
    maxConcurrentLocalActivityExecutions: connections,
    // A workflow stays with the worker that has it in memory. When that worker was killed, its next
    // task waits this long for it before any other may take it; Temporal's ten seconds would be
    // most of the time that an update takes to recover (F34).
    stickyQueueScheduleToStartTimeout: '1 second',
    // Most tasks are the first of a new update, which come to no worker in particular: Temporal's
    // default leaves them a fifth of the pollers.
    nonStickyToStickyPollRatio: 0.5,
    // Unless given, Temporal derives it from the heap's limit, so that a small container does not
    // run out of memory.
    ...(maxCachedWorkflows === undefined ? {} : { maxCachedWorkflows }),
  } satisfies Partial<TemporalWorkerOptions>;
}

/** How many overdue updates a worker's janitor drives at a time: legs come first. */
export function drivesAtOnce(connections = 10): number {
  return Math.min(8, Math.max(1, Math.floor(connections / 4)));
}

/**
 * How a worker drains. Temporal's default grace of none would cancel every leg in flight (H22).
 * After the grace a leg that ignores its cancellation is left behind and `run` rejects: whoever
 * supervises the process must not kill it before.
 */
export function drainOf(
  updates: readonly AnyCrossStoreUpdate[],
  shutdownGraceMillis: number | undefined,
) {
  const longestLeg = Math.max(...updates.map(({ legTimeoutMillis }) => legTimeoutMillis));
  const grace = shutdownGraceMillis ?? longestLeg + 2_000;
  return {
    shutdownGraceTime: grace,
    shutdownForceTime: grace + FORCE_AFTER_MILLIS,
  } satisfies Partial<TemporalWorkerOptions>;
}
