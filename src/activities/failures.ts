import { ApplicationFailure } from '@temporalio/activity';
import { MongoServerError } from 'mongodb';
import { type ErrorCode, isTwinwriteError } from '../domain/errors';
import { verdictOf as mongoVerdictOf } from './mongo/errors';
import { isDatabaseError, verdictOf as postgresVerdictOf } from './postgres/errors';

/**
 * No retry changes these: the caller has to. They end the workflow as failed, so that the rightful
 * caller of the token may start it anew (F11).
 */
const NON_RETRYABLE: ReadonlySet<ErrorCode> = new Set<ErrorCode>(['InvalidInput', 'TokenReused']);

/**
 * These wait for somebody: a deploy, an operator. They are retried slowly, and seen in the Web UI
 * as pending with their last failure.
 */
const SLOW: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  'InvalidDefinition',
  'UnknownDefinition',
  'TransactionMisused',
  'NotAdopted',
  'MongoAhead',
  'Parked',
]);

const SLOW_RETRY = '30 seconds';

/**
 * The one place where an error becomes a failure that Temporal stores: its type is our code or the
 * store's, its message is one that we wrote. A driver's own text stays in the worker's log, since
 * it may quote rows.
 */
export function toApplicationFailure(error: unknown): ApplicationFailure {
  if (isTwinwriteError(error)) {
    return ApplicationFailure.create({
      type: error.code,
      message: error.message,
      nonRetryable: NON_RETRYABLE.has(error.code),
      details: [error.fields],
      ...(SLOW.has(error.code) ? { nextRetryDelay: SLOW_RETRY } : {}),
    });
  }
  const stored = describeStoreError(error);
  const isDeployment = [postgresVerdictOf(error), mongoVerdictOf(error)].includes('deployment');
  // What a callback throws never ends the workflow, whatever it says of itself: the ledger may know
  // the token already.
  const delay = { nonRetryable: false, ...(isDeployment ? { nextRetryDelay: SLOW_RETRY } : {}) };
  if (stored !== undefined) return ApplicationFailure.create({ ...stored, ...delay });
  // A bug in a definition, or a connection that broke: neither quotes a row, and the stack shows
  // where.
  return ApplicationFailure.fromError(error, delay);
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
