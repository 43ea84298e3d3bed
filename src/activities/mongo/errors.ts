import { MongoError, MongoErrorLabel, MongoInvalidArgumentError, MongoServerError } from 'mongodb';
import type { Reason } from '../../domain/outcome';

/** What an error of MongoDB means for a leg. By code and label, never by text. */
export type MongoVerdict =
  /** The data is refused: no retry will change it. */
  | 'refusal'
  /**
   * The command or the privileges are wrong: a deploy mends it, so it is retried slowly and never
   * compensated.
   */
  | 'deployment'
  /** It may pass. */
  | 'transient';

/**
 * The table of server codes.
 *
 * @see https://github.com/mongodb/mongo/blob/master/src/mongo/base/error_codes.yml
 */
const VERDICTS: Readonly<Record<number, MongoVerdict>> = {
  2: 'refusal', // BadValue
  9: 'deployment', // FailedToParse
  13: 'deployment', // Unauthorized
  14: 'refusal', // TypeMismatch
  18: 'deployment', // AuthenticationFailed
  20: 'deployment', // IllegalOperation: transactions on a standalone
  26: 'deployment', // NamespaceNotFound
  28: 'refusal', // PathNotViable
  52: 'refusal', // DollarPrefixedFieldName
  54: 'refusal', // NotSingleValueField
  56: 'refusal', // EmptyFieldName
  57: 'refusal', // DottedFieldName
  59: 'deployment', // CommandNotFound
  66: 'refusal', // ImmutableField
  73: 'deployment', // InvalidNamespace
  121: 'refusal', // DocumentValidationFailure
  146: 'deployment', // ExceededMemoryLimit
  263: 'deployment', // OperationNotSupportedInTransaction
  10334: 'refusal', // BSONObjectTooLarge
  11000: 'refusal', // DuplicateKey
  17419: 'refusal', // the resulting document is larger than the limit
};

const DUPLICATE_KEY = 11_000;

/** The server leaves the name out of a write error. */
const NAMES: Readonly<Record<number, string>> = {
  121: 'document validation',
  10334: 'document too large',
  [DUPLICATE_KEY]: 'duplicate key',
  17419: 'document too large',
};

export function verdictOf(error: unknown): MongoVerdict {
  if (!(error instanceof MongoServerError)) return 'transient';
  if (isTransientInTransaction(error) || isInDoubt(error)) return 'transient';
  return (typeof error.code === 'number' ? VERDICTS[error.code] : undefined) ?? 'transient';
}

/**
 * Whether an error that passed through a callback is the driver's or the server's. What the driver
 * says of its arguments, and BSON of a value that it cannot hold, is the callback's own mistake.
 */
export function isOfMongo(error: unknown): boolean {
  return error instanceof MongoError && !(error instanceof MongoInvalidArgumentError);
}

/**
 * The server asks for the whole transaction to be run again: a write conflict, or a change of
 * primary.
 */
export function isTransientInTransaction(error: unknown): boolean {
  return (
    error instanceof MongoError && error.hasErrorLabel(MongoErrorLabel.TransientTransactionError)
  );
}

/**
 * The server itself has ended the transaction, as it does on a conflict. The driver gives the label
 * to a lost connection as well, whose transaction is as open as before.
 */
export function isAbortedByServer(error: unknown): boolean {
  return error instanceof MongoServerError && isTransientInTransaction(error);
}

/**
 * Marks what a commit failed with: whatever the server said, it may have carried it out (clause 4).
 * The driver does so for some errors only, and for none when its retries are turned off. One that
 * says that the transaction is gone stays as it is.
 */
export function asInDoubt(error: unknown): unknown {
  if (error instanceof MongoError && !isTransientInTransaction(error)) {
    error.addErrorLabel(MongoErrorLabel.UnknownTransactionCommitResult);
  }
  return error;
}

export function isInDoubt(error: unknown): boolean {
  return (
    error instanceof MongoError &&
    error.hasErrorLabel(MongoErrorLabel.UnknownTransactionCommitResult)
  );
}

/**
 * The fields of the unique index that a write collided with, or nothing when it did not collide.
 */
export function duplicateKeyOf(error: unknown): readonly string[] | undefined {
  if (!(error instanceof MongoServerError) || error.code !== DUPLICATE_KEY) return undefined;
  const pattern: unknown = error['keyPattern'];
  return typeof pattern === 'object' && pattern !== null ? Object.keys(pattern) : [];
}

/**
 * The reason that is recorded: the code and the index or collection, never the server's text, which
 * quotes documents.
 */
export function reasonOf(error: MongoServerError, collection?: string): Reason {
  const index = duplicateKeyOf(error)?.join(', ');
  const place = index === undefined ? collection : `unique index on ${index}`;
  const code = typeof error.code === 'number' ? error.code : 0;
  return {
    code: 'RefusedByMongo',
    message: `MongoDB refused the data (code ${code}, ${NAMES[code] ?? 'refused'}${place === undefined ? '' : `, ${place}`})`,
    ...(place === undefined ? {} : { constraint: place }),
  };
}
