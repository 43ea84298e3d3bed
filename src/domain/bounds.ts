/**
 * How long an attempt of a leg may live. The order is the guarantee (clause 8): the stores' own timeouts and the drivers' deadlines lie below the activity's
 * timeout, so an attempt that Temporal has given up on dies soon. The ledger makes it harmless meanwhile.
 */

/** Start to close of one attempt of a leg, unless a definition says otherwise. */
export const DEFAULT_LEG_TIMEOUT_MILLIS = 4_000;
export const MIN_LEG_TIMEOUT_MILLIS = 1_000;
export const MAX_LEG_TIMEOUT_MILLIS = 60_000;

/** How long a duplicate waits for the attempt in flight before it leaves the waiting to Temporal's backoff. */
export const CLAIM_WAIT_MILLIS = 1_000;

/** One statement, and the pause between two, in PostgreSQL. */
export function statementTimeoutMillis(legTimeoutMillis: number): number {
  return Math.floor(legTimeoutMillis * 0.6);
}

/** All operations of one attempt in MongoDB together. */
export function mongoTimeoutMillis(legTimeoutMillis: number): number {
  return Math.floor(legTimeoutMillis * 0.75);
}

/** After this an overdue pending row is somebody else's to drive. */
export const DRIVE_WITHIN_MILLIS = 5 * 60_000;
