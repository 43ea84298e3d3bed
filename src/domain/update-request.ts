import type { Form } from './definition';
import type { ExpectedVersions } from './expectation';
import type { Json } from './json';
import type { Outcome, Reason } from './outcome';

/**
 * What a workflow is started with. Nothing in it is trusted by the worker: whoever may start
 * workflows may start this one with anything.
 */
export interface CrossStoreUpdateRequest {
  readonly definition: string;
  readonly token: string;
  /** As the caller gave it, before defaults and transforms: both sides parse it. */
  readonly input: Json;
  readonly legTimeoutMillis?: number;
  /** For display only: what the claim records is asked of the definition. */
  readonly entities?: readonly string[];
  /**
   * Whether the namespace has our search attributes: to upsert one that it has not would fail the
   * workflow task for ever.
   */
  readonly searchAttributes?: boolean;
  /** The versions that the caller has read of documents: the claim compares them. */
  readonly expect?: ExpectedVersions;
}

/**
 * What the Postgres leg recorded with its claim. Later steps use it and never ask the definition
 * again, which a deploy may have changed (clause 10).
 */
export interface Claim {
  /** The pending row, and with it the hold. As a string: a bigint does not survive JSON. */
  readonly ticket: string;
  readonly form: Form;
  readonly undoable: boolean;
  readonly entities: readonly string[];
  readonly documents: readonly string[];
  readonly result: Json;
  /**
   * Its Postgres leg is undone. Only then may what MongoDB has now settle the update as
   * compensated: an earlier attempt may have written what was there before the undo.
   */
  readonly undone?: boolean;
}

/** The token's outcome stands in the ledger: there is nothing left to drive. */
interface Settled {
  readonly at: 'settled';
  readonly outcome: Outcome<Json>;
}

/** Another driver decided to undo this update: follow it. */
export interface Undoing {
  readonly at: 'undoing';
  readonly claim: Claim;
  readonly reason: Reason;
}

interface Forward {
  readonly at: 'forward';
  readonly claim: Claim;
}

/**
 * Another update holds an entity of this one, or waits for it and was first. Nothing was applied;
 * the workflow that joined the queue is called when its turn comes, and claims again (clause 7).
 */
interface Waiting {
  readonly at: 'waiting';
  readonly workflow: string;
}

/** What the Postgres ledger says of a token, to whoever asks. */
export type LedgerAnswer = Forward | Undoing | Settled | Waiting;

type MongoAnswer =
  | LedgerAnswer
  /** Refused for good: retrying changes nothing. */
  | { readonly at: 'refused'; readonly reason: Reason }
  /** A compensation was here first. */
  | { readonly at: 'fencedOut' };

/** `applied`: MongoDB has it, and there is no way back there. */
export type MongoFenceAnswer = { readonly at: 'fenced' } | { readonly at: 'applied' };

/**
 * The steps of the protocol, each one transaction or one write in one store. Every step may run any
 * number of times, by any number of drivers, at any moment: the ledger makes them agree. A driver
 * strings them together; `src/workflows/protocol.ts` says how.
 */
export interface Steps {
  /** Claims the token and applies the Postgres leg, or answers what the ledger has (clause 3). */
  applyPostgres(request: CrossStoreUpdateRequest): Promise<LedgerAnswer>;
  /**
   * Applies the Mongo leg, or finds it applied, and then settles: ends the update, forward or
   * undone, by a compare-and-set on its pending row (clause 5). For a projection the leg is the
   * image that Postgres has now.
   */
  applyMongo(request: CrossStoreUpdateRequest, claim: Claim): Promise<MongoAnswer>;
  /**
   * Makes sure that the Postgres leg never runs after this, or finds that it ran and decides that
   * it is undone. `forward` means that there is no way back.
   */
  fencePostgres(request: CrossStoreUpdateRequest, reason: Reason): Promise<LedgerAnswer>;
  /**
   * Transaction form only: makes sure that the Mongo leg never runs after this; found applied, it
   * is undone.
   */
  fenceMongo(request: CrossStoreUpdateRequest, claim: Claim): Promise<MongoFenceAnswer>;
  /**
   * Undoes the Postgres leg, which settles the transaction form; a projection gets a new version of
   * its documents, still to be written to Mongo.
   */
  undoPostgres(request: CrossStoreUpdateRequest): Promise<LedgerAnswer>;
  /**
   * MongoDB has it for good: turns an undoing update forward again, unless its Postgres leg is
   * undone already.
   */
  resumeForward(request: CrossStoreUpdateRequest): Promise<LedgerAnswer>;
}

/** The steps of one update: what comes after the request in each of them. */
export type UpdateSteps = {
  readonly [Name in keyof Steps]: Steps[Name] extends (
    request: infer _Request,
    ...rest: infer Rest
  ) => infer Answer
    ? (...rest: Rest) => Answer
    : never;
};
