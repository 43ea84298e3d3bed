import type { VersionConflict } from './expectation';
import { describeFindings, type Finding } from './finding';
import type { JsonIssue } from './json';

/**
 * Every error that Twinwrite throws, as data. Callers branch on `code`; the message is composed in
 * one place from the fields and says what to do.
 *
 * Add a code here and the compiler asks for its message.
 */
export interface ErrorFields {
  /** The input is refused before anything is started. Mend the input; nothing was written. */
  InvalidInput: { definition: string; token?: string; issues: readonly JsonIssue[] };
  /** The token stands for another input already. Nothing was written for this call. */
  TokenReused: { definition: string; token: string };
  /**
   * A document is not at the version that the caller expects. Nothing was written or recorded; it
   * is told as the outcome `refused`.
   */
  VersionConflict: { definition: string; token: string; conflicts: readonly VersionConflict[] };
  /** The update was not settled in time. It goes on; ask again with the same token. */
  StillRunning: { definition: string; token: string; timeoutMillis: number };
  /**
   * Temporal did not answer. The update may or may not have been started: calling again is safe.
   */
  Unavailable: { definition?: string; token?: string; cause: string };
  /** Nobody ever submitted this token, or Temporal has forgotten it. */
  UnknownUpdate: { definition: string; token: string };
  /**
   * The workflow was terminated or timed out. Submit the update again with the same input: the
   * ledger knows how far it came.
   */
  EndedWithoutOutcome: { definition: string; token: string };
  /**
   * A definition, or a set of them, cannot work. Thrown when it is defined or when a worker starts.
   */
  InvalidDefinition: { definition: string; problem: string };
  /**
   * The worker was given no definition of this name: a deploy is under way, or one is missing.
   * Retried.
   */
  UnknownDefinition: { definition: string };
  /**
   * A callback did with the transaction what only Twinwrite may do. Retried until a mended build is
   * deployed.
   */
  TransactionMisused: { definition: string; problem: string };
  /**
   * A document of a projection's collection was not written by Twinwrite. Retried until it is
   * adopted or removed.
   */
  NotAdopted: { collection: string; id: string };
  /** MongoDB holds a later version than Postgres: Postgres went back in time. Always an alarm. */
  MongoAhead: { collection: string; id: string };
  /**
   * A store went back in time, or somebody raises the epoch: nothing is written in either until
   * then. Retried by itself; no update is compensated or refused for it.
   */
  StoresStopped: {
    /** The store that went back; `none` while the epoch is raised without that. */
    store: 'PostgreSQL' | 'MongoDB' | 'none';
    /** How far it is behind what the other store remembers of it; about as many seconds. */
    ticks: number;
    since: string;
  };
  /** MongoDB refused, and the definition has no `undo`. The update is parked and retried slowly. */
  Parked: { definition: string; token: string; reason: string };
  /** The environment, the configuration file or what a call was given is wrong. */
  InvalidConfiguration: { problem: string };
  /** A store cannot carry cross-store updates as it is. */
  UnsuitableStore: { store: 'PostgreSQL' | 'MongoDB'; problem: string };
  /** What `checkDefinition` of `twinwrite/testing` found wrong with a definition. */
  UnsoundDefinition: { definition: string; findings: readonly Finding[] };
}

export type ErrorCode = keyof ErrorFields;

const MESSAGES: { readonly [Code in ErrorCode]: (fields: ErrorFields[Code]) => string } = {
  InvalidInput: ({ definition, issues }) =>
    `The input of ${definition} is refused: ${describeIssues(issues)}. Nothing was written; mend the input and submit it again.`,
  TokenReused: ({ definition, token }) =>
    `The token ${quote(token)} of ${definition} was used before with another input. Nothing was written; give each business change a token of its own.`,
  VersionConflict: ({ definition, token, conflicts }) =>
    `${definition} ${quote(token)} expects ${conflicts.map(describeConflict).join('; ')}. Nothing was written or recorded; read again, and submit it with what you find.`,
  StillRunning: ({ definition, token, timeoutMillis }) =>
    `${definition} ${quote(token)} was not settled within ${timeoutMillis} ms. It goes on: ask again with the same token, or look at it in the Temporal Web UI.`,
  Unavailable: ({ definition, token, cause }) =>
    token === undefined
      ? `Temporal did not answer (${cause}). Check that the server runs and that TEMPORAL_ADDRESS and TEMPORAL_NAMESPACE name it.`
      : `Temporal did not answer for ${definition} ${quote(token)} (${cause}). Call again with the same token: it makes that safe.`,
  UnknownUpdate: ({ definition, token }) =>
    `${definition} ${quote(token)} is not known to Temporal. Check the name and the token, or submit it.`,
  EndedWithoutOutcome: ({ definition, token }) =>
    `The workflow of ${definition} ${quote(token)} was terminated or timed out. Submit it again with the same input: the ledger answers, or the update goes on.`,
  InvalidDefinition: ({ definition, problem }) =>
    `The definition ${quote(definition)} cannot work: ${problem}`,
  UnknownDefinition: ({ definition }) =>
    `This worker has no definition ${quote(definition)}. Add it to createWorker({ updates }) and deploy; the update waits meanwhile.`,
  TransactionMisused: ({ definition, problem }) =>
    `A callback of ${definition} ${problem}. Twinwrite rolled back what it could; mend the callback and deploy, the update waits meanwhile.`,
  NotAdopted: ({ collection, id }) =>
    `${collection}/${id} exists in MongoDB and was not written by Twinwrite. It is left as it is; run "twinwrite adopt ${collection}", or remove it. The update waits meanwhile.`,
  MongoAhead: ({ collection, id }) =>
    `${collection}/${id} is at a later version in MongoDB than in PostgreSQL. PostgreSQL was restored to the past, or promoted with data lost; nothing is overwritten. Look with "twinwrite epoch raise --dry-run".`,
  StoresStopped: ({ store, ticks, since }) =>
    store === 'none'
      ? `Somebody raises the epoch since ${since}. Nothing is written in either store meanwhile; where that was interrupted, run "twinwrite epoch raise" again.`
      : `${store} went back in time: it is ${ticks} ticks behind what the other store remembers of it, found at ${since}. It was restored, or promoted with commits lost. Nothing is written in either store; look with "twinwrite epoch raise --dry-run", then run "twinwrite epoch raise".`,
  Parked: ({ definition, token, reason }) =>
    `${definition} ${quote(token)} was refused by MongoDB (${reason}) and has no undo. It is parked: mend the cause, and it finishes by itself.`,
  InvalidConfiguration: ({ problem }) => problem,
  UnsuitableStore: ({ store, problem }) => `${store} cannot carry cross-store updates: ${problem}`,
  UnsoundDefinition: ({ definition, findings }) =>
    `The definition ${quote(definition)} is not sound.\n\n${describeFindings(findings)}`,
};

function describeConflict({ document, expected, found }: VersionConflict): string {
  const is = found === null ? 'does not exist' : `is at version ${found}`;
  return `${expected === null ? 'no' : `version ${expected} of`} ${document}, which ${is}`;
}

/**
 * What only the caller can mend: the run ends as failed, so that the token stays free for the
 * rightful caller, or for the same one with a mended call (F11).
 */
const CALLER_CODES = ['InvalidInput', 'TokenReused', 'VersionConflict'] as const;

type CallerCode = (typeof CALLER_CODES)[number];

/** Whether an error, or the type of a failure that Temporal stored, is for the caller to mend. */
export function isCallerCode(code: unknown): code is CallerCode {
  return CALLER_CODES.some((known) => known === code);
}

const BRAND = Symbol.for('twinwrite.error');

/**
 * What Twinwrite throws. `instanceof` fails across two copies of the package (a bundle, a Jest
 * sandbox): use `isTwinwriteError`.
 */
export class TwinwriteError<Code extends ErrorCode = ErrorCode> extends Error {
  override readonly name = 'TwinwriteError';
  readonly [BRAND] = true;

  constructor(
    readonly code: Code,
    readonly fields: ErrorFields[Code],
    options?: ErrorOptions,
  ) {
    super(MESSAGES[code](fields), options);
  }

  /** The token that the error is about, where there is one. */
  get token(): string | undefined {
    return 'token' in this.fields ? this.fields.token : undefined;
  }
}

/** Whether an error is Twinwrite's, and of the given code if one is named. */
export function isTwinwriteError<Code extends ErrorCode = ErrorCode>(
  error: unknown,
  code?: Code,
): error is TwinwriteError<Code> {
  if (typeof error !== 'object' || error === null || !(BRAND in error)) return false;
  return code === undefined || (error as TwinwriteError).code === code;
}

export function describeIssues(issues: readonly JsonIssue[]): string {
  return issues
    .map(({ path, reason }) => (path === '' ? `it ${reason}` : `${path}: ${reason}`))
    .join('; ');
}

function quote(text: string): string {
  return JSON.stringify(text);
}
