/**
 * How long an attempt of a leg may live. The order is the guarantee (clause 8): the stores' own
 * timeouts and the drivers' deadlines lie below the activity's timeout, so an attempt that Temporal
 * has given up on dies soon. The ledger makes it harmless meanwhile.
 */

/** Start to close of one attempt of a leg, unless a definition says otherwise. */
export const DEFAULT_LEG_TIMEOUT_MILLIS = 4_000;
export const MIN_LEG_TIMEOUT_MILLIS = 1_000;
export const MAX_LEG_TIMEOUT_MILLIS = 60_000;

/**
 * How long a duplicate waits for the attempt in flight before it leaves the waiting to Temporal's
 * backoff.
 */
export const CLAIM_WAIT_MILLIS = 1_000;

/**
 * The shares of a leg's time. Those of one attempt add up to less than the whole: Temporal must not
 * give up on an attempt that its stores still work on.
 */
const SHARES = {
  /** The Postgres leg's transaction: from its connection to its COMMIT. */
  postgres: 0.9,
  /** Where there is a precheck, it and the leg's transaction after it. */
  precheck: 0.25,
  afterPrecheck: 0.65,
  /** The Mongo leg: reading the images, writing them or running the transaction, settling. */
  image: 0.25,
  mongo: 0.4,
  settle: 0.3,
} as const;

export function shareMillis(share: keyof typeof SHARES, legTimeoutMillis: number): number {
  return Math.floor(SHARES[share] * legTimeoutMillis);
}

/** One statement, and the pause between two, in a transaction of PostgreSQL. */
export function statementTimeoutMillis(transactionTimeoutMillis: number): number {
  return Math.floor(transactionTimeoutMillis * 0.7);
}

/** The least time in which an update's driver means to be done, from its claim on. */
const MIN_DRIVE_WITHIN_MILLIS = 10_000;

/** Both legs at their slowest, and half a leg to get from one to the next. */
const LEGS_TO_DRIVE = 2.5;

/**
 * By when an update's driver means to be done, from its claim on. After this it is the janitor's to
 * drive as well (clause 9).
 */
export function driveWithinMillis(legTimeoutMillis: number = DEFAULT_LEG_TIMEOUT_MILLIS): number {
  return Math.max(MIN_DRIVE_WITHIN_MILLIS, LEGS_TO_DRIVE * legTimeoutMillis);
}
