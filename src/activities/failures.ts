import { ApplicationFailure } from '@temporalio/activity';
import { MongoServerError } from 'mongodb';
import { type ErrorCode, isTwinwriteError } from '../domain/errors';
import { verdictOf as mongoVerdictOf } from './mongo/errors';
import { isDatabaseError, verdictOf as postgresVerdictOf } from './postgres/errors';

/** No retry changes these: the caller has to. They end the workflow as failed, so that the rightful caller of the token may start it anew (F11). */
const NON_RETRYABLE: ReadonlySet<ErrorCode> = new Set<ErrorCode>(['InvalidInput', 'TokenReused']);

/** These wait for somebody: a deploy, an operator. They are retried slowly, and seen in the Web UI as pending with their last failure. */
const SLOW: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  'InvalidDefinition',
  'UnknownDefinition',
  'TransactionMisused',
  'NotAdopted',
  'MongoAhead',
  'Parked',
]);

const SLOW_RETRY = '30 seconds';

const MAX_MESSAGE_CHARACTERS = 500;

/**
 * The one place where an error becomes a failure that Temporal stores: its type is our code or the store's, its message is one that we wrote. A driver's own text stays in
 * the worker's log, since it may quote rows.
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
  const { type, message, isDeployment } = describe(error);
  return ApplicationFailure.create({
    type,
    message,
    ...(isDeployment ? { nextRetryDelay: SLOW_RETRY } : {}),
  });
}

function describe(error: unknown): { type: string; message: string; isDeployment: boolean } {
  if (isDatabaseError(error)) {
    const isDeployment = postgresVerdictOf(error) === 'deployment';
    return {
      type: 'Postgres',
      message: `PostgreSQL answered SQLSTATE ${error.code}`,
      isDeployment,
    };
  }
  const isDeployment = mongoVerdictOf(error) === 'deployment';
  if (!(error instanceof Error)) return { type: 'Unknown', message: 'not an error', isDeployment };
  if (error instanceof MongoServerError) {
    const message = `MongoDB answered code ${error.code} (${error.codeName ?? 'unnamed'})`;
    return { type: 'Mongo', message, isDeployment };
  }
  // A bug in a definition, or a connection that broke: neither quotes a row.
  return {
    type: error.name,
    message: error.message.slice(0, MAX_MESSAGE_CHARACTERS),
    isDeployment,
  };
}
