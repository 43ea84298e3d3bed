import { MongoError } from 'mongodb';
import { duplicateKeyOf } from '../activities/mongo/errors';
import { isDatabaseError, placeOf } from '../activities/postgres/errors';
import { isTwinwriteError } from '../domain/errors';

/** What a log line tells of an error. */
export interface ErrorDescription {
  readonly type: string;
  readonly code?: string;
  /** The constraint, the unique index's fields, or the table that the store named. */
  readonly constraint?: string;
  /** Absent for an error of a store: its text quotes rows. */
  readonly message?: string;
  readonly at?: readonly string[];
  readonly cause?: ErrorDescription;
}

const MAX_FRAMES = 8;
const MAX_CAUSES = 4;

/**
 * Describes an error for logs. What a store says (`detail`, `where`, `keyValue`, and the message
 * itself) may quote rows of other people, so of a store's error only the code and the constraint
 * are told. Everybody else's errors keep their message.
 */
export function describeError(error: unknown, depth = 0): ErrorDescription {
  if (!(error instanceof Error)) return { type: typeof error };
  const cause = causeOf(error);
  return {
    // pg names its errors "error".
    type: isDatabaseError(error) ? 'DatabaseError' : error.name,
    ...codeOf(error),
    ...constraintOf(error),
    ...(isOfAStore(error) ? {} : { message: error.message }),
    at: framesOf(error),
    ...(cause === undefined || depth >= MAX_CAUSES
      ? {}
      : { cause: describeError(cause, depth + 1) }),
  };
}

/** A short name of what went wrong, with few enough values for a label of a metric. */
export function errorCodeOf(error: unknown): string {
  if (isTwinwriteError(error)) return error.code;
  if (isDatabaseError(error)) return `SQLSTATE ${error.code}`;
  if (!(error instanceof Error)) return 'Unknown';
  return error instanceof MongoError && typeof error.code === 'number'
    ? `MongoDB ${error.code}`
    : error.name;
}

/** BSON's errors quote the value that could not be written. */
function isOfAStore(error: Error): boolean {
  return isDatabaseError(error) || error instanceof MongoError || error.name.startsWith('BSON');
}

function causeOf(error: Error): unknown {
  // A host name with several addresses fails once for each.
  return error instanceof AggregateError ? error.errors[0] : error.cause;
}

function codeOf(error: Error): { code?: string } {
  const code: unknown = 'code' in error ? error.code : undefined;
  return typeof code === 'string' || typeof code === 'number' ? { code: String(code) } : {};
}

function constraintOf(error: Error): { constraint?: string } {
  const place = isDatabaseError(error) ? placeOf(error) : duplicateKeyOf(error)?.join(', ');
  return place === undefined || place === '' ? {} : { constraint: place };
}

/** The stack without its first lines, which repeat the message. */
function framesOf({ stack = '' }: Error): readonly string[] {
  return stack
    .split('\n')
    .filter((line) => /^\s+at /.test(line))
    .slice(0, MAX_FRAMES)
    .map((line) => line.trim().slice('at '.length));
}
