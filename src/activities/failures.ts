import { ApplicationFailure } from '@temporalio/activity';
import { MongoServerError } from 'mongodb';
import { type ErrorCode, isCallerCode, isTwinwriteError } from '../domain/errors';
import { isCallbackFault } from './callback-fault';
import { verdictOf as mongoVerdictOf } from './mongo/errors';
import { isDatabaseError, verdictOf as postgresVerdictOf } from './postgres/errors';
import { RefusedError } from './refusal';

/** What only somebody's doing changes: nothing is gained by trying again soon. */
const HOPELESS: ReadonlySet<ErrorCode> = new Set<ErrorCode>(['Parked', 'NotAdopted', 'MongoAhead']);

/** What is no trouble of the update: it goes on by itself, within Temporal's longest interval. */
const OUTAGES: ReadonlySet<ErrorCode> = new Set<ErrorCode>(['StoresStopped']);

/**
 * How often a fault that may be mended any moment is met before it is somebody's: a deploy under
 * way, whose next attempt may meet the new build, or an undo that fails for a while.
 */
const PATIENT_ATTEMPTS = 6;

/**
 * How many attempts a step has before the update is parked: the workflow waits, visibly, and tries
 * again slowly or when it is told to. A store that is away is waited out by Temporal's own retries,
 * without a bound: whatever is not known to need somebody may pass.
 */
function patienceOf(error: unknown): number {
  if (isTwinwriteError(error)) {
    if (OUTAGES.has(error.code)) return Infinity;
    return HOPELESS.has(error.code) ? 1 : PATIENT_ATTEMPTS;
  }
  const verdicts = [postgresVerdictOf(error), mongoVerdictOf(error)];
  const needsSomebody =
    verdicts.some((verdict) => verdict !== 'transient') ||
    error instanceof RefusedError ||
    isCallbackFault(error);
  return needsSomebody ? PATIENT_ATTEMPTS : Infinity;
}

/** Whether the attempt is the last one before the update is parked. */
export function isToPark(error: unknown, attempt: number): boolean {
  return !isCallers(error) && attempt >= patienceOf(error);
}

function isCallers(error: unknown): boolean {
  return isTwinwriteError(error) && isCallerCode(error.code);
}

/**
 * The one place where an error becomes a failure that Temporal stores: its type is our code or the
 * store's, its message is one that we wrote. A driver's own text stays in the worker's log, since
 * it may quote rows.
 *
 * One that is not retryable reaches the workflow: it fails for what the caller has to mend, and is
 * parked by everything else.
 */
export function toApplicationFailure(error: unknown, attempt: number): ApplicationFailure {
  const nonRetryable = isCallers(error) || isToPark(error, attempt);
  if (isTwinwriteError(error)) {
    const { code: type, message, fields } = error;
    return ApplicationFailure.create({ type, message, nonRetryable, details: [fields] });
  }
  const stored = describeStoreError(error);
  // What a callback throws never ends the workflow, whatever it says of itself: the ledger may know
  // the token already.
  if (stored !== undefined) return ApplicationFailure.create({ ...stored, nonRetryable });
  // A bug in a definition, or a connection that broke: neither quotes a row, and the stack shows
  // where.
  return ApplicationFailure.fromError(error, { nonRetryable });
}

/** The code and what it means; nothing of what the store said. */
function describeStoreError(error: unknown): { type: string; message: string } | undefined {
  if (isDatabaseError(error)) {
    const meaning = MEANINGS[error.code] ?? 'see its documentation';
    return { type: 'Postgres', message: `PostgreSQL answered SQLSTATE ${error.code}: ${meaning}` };
  }
  if (!(error instanceof MongoServerError)) return undefined;
  const name = error.codeName ?? 'see its documentation';
  return { type: 'Mongo', message: `MongoDB answered code ${error.code}: ${name}` };
}

/** The SQLSTATEs that an operator meets most, in words. */
const MEANINGS: Readonly<Record<string, string>> = {
  '25006': 'it is read-only, a standby perhaps',
  '25P03': 'the callback was idle for too long inside the transaction',
  '28P01': 'wrong password',
  '3D000': 'no such database',
  '3F000': 'no such schema',
  '40001': 'a serialization failure',
  '40P01': 'a deadlock',
  '42501': 'no privilege',
  '42601': 'a syntax error',
  '42703': 'no such column',
  '42P01': 'no such table',
  '53100': 'its disk is full',
  '53300': 'too many connections',
  '55P03': 'a lock was not available in time',
  '57014': 'a statement took too long',
  '57P01': 'the session was ended by an administrator',
  '57P03': 'it is starting up or shutting down',
};
