import type { VersionConflict } from './expectation';
import type { Json } from './json';

/**
 * How a cross-store update ends: the same in both stores, and the same for everybody who asks with
 * its token.
 */
export type Outcome<Result = unknown> =
  | {
      /** Both stores have it. */
      readonly status: 'applied';
      /** What `postgres.apply` returned, as it was recorded. */
      readonly result: Result;
    }
  | {
      /** It was applied in Postgres at least, and undone in every store that had it. */
      readonly status: 'compensated';
      readonly reason: Reason;
    }
  | {
      /** Nothing was ever written, in either store. */
      readonly status: 'refused';
      readonly reason: Reason;
    };

export type OutcomeStatus = Outcome['status'];

/** Why an update was not applied. Never a driver's message: those quote rows of other people. */
export interface Reason {
  readonly code: ReasonCode;
  readonly message: string;
  /** The constraint, index or collection that refused, where one is known. */
  readonly constraint?: string;
  /** What a callback gave to `refuse(…)` beside its sentence. */
  readonly details?: Json;
  /** The documents that were not as expected, where the code is `VersionConflict`. */
  readonly conflicts?: readonly VersionConflict[];
}

export type ReasonCode =
  /** A callback called `refuse(…)`. */
  | 'RefusedByDefinition'
  /** PostgreSQL refused the data: a constraint, or a value out of range. */
  | 'RefusedByPostgres'
  /** MongoDB refused the data: a validator, a unique index, or a document that it cannot hold. */
  | 'RefusedByMongo'
  /** What `apply` returned is not plain JSON, or too large to record. */
  | 'ResultNotRecordable'
  /**
   * A document was not at the version that the caller expects. Nothing was recorded, so the same
   * token may be submitted again with another expectation.
   */
  | 'VersionConflict'
  /** Somebody cancelled the update before it was settled. */
  | 'Cancelled';
