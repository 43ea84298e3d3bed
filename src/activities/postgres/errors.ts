import type { Reason } from '../../domain/outcome';
import { RefusedError } from '../refusal';

/** What an error of PostgreSQL means for a leg. By SQLSTATE, never by text. */
export type PostgresVerdict =
  /** The data is refused: no retry will change it. */
  | 'refusal'
  /**
   * The statement or the schema is wrong: a deploy mends it, so it is retried slowly and never
   * compensated.
   */
  | 'deployment'
  /** It may pass. */
  | 'transient';

/**
 * The table of SQLSTATEs. Longest prefix wins.
 *
 * @see https://www.postgresql.org/docs/current/errcodes-appendix.html
 */
const VERDICTS: Readonly<Record<string, PostgresVerdict>> = {
  '08': 'transient', // connection
  '0A': 'deployment', // feature not supported
  '22': 'refusal', // data exception: out of range, invalid text
  '23': 'refusal', // integrity constraint
  '25': 'deployment', // invalid transaction state
  '25006': 'transient', // read-only: we reached a demoted primary
  '25P03': 'transient', // idle in transaction timeout
  '28': 'deployment', // authorization
  '3D': 'deployment', // no such database
  '3F': 'deployment', // no such schema
  '40': 'transient', // serialization failure, deadlock
  '42': 'deployment', // syntax, missing table, privilege
  '44': 'refusal', // WITH CHECK OPTION
  '53': 'transient', // resources
  '54': 'deployment', // program limit
  '55': 'transient', // lock not available
  '57': 'transient', // operator intervention, timeouts
  '58': 'transient', // system error
  P0: 'refusal', // RAISE EXCEPTION in a trigger or function of the user's
  XX: 'transient', // internal error
};

interface DatabaseErrorFields {
  readonly code: string;
  readonly constraint?: string;
  readonly table?: string;
  readonly column?: string;
}

export function verdictOf(error: unknown): PostgresVerdict {
  if (!isDatabaseError(error)) return 'transient';
  return VERDICTS[error.code] ?? VERDICTS[error.code.slice(0, 2)] ?? 'transient';
}

/** Whether an error came from the server, with a SQLSTATE. */
export function isDatabaseError(error: unknown): error is Error & DatabaseErrorFields {
  if (!(error instanceof Error) || !('code' in error)) return false;
  return typeof error.code === 'string' && /^[0-9A-Z]{5}$/.test(error.code) && 'severity' in error;
}

const MISSING_SCHEMA = new Set(['3F000', '42P01']);

/** Whether the database was never migrated, or lacks what a later build looks for. */
export function isMissingSchema(error: unknown): boolean {
  return isDatabaseError(error) && MISSING_SCHEMA.has(error.code);
}

/**
 * The reason that is recorded: the code and the constraint, never the server's text, which quotes
 * rows.
 */
function reasonOf(error: Error & DatabaseErrorFields): Reason {
  const place = placeOf(error);
  return {
    code: 'RefusedByPostgres',
    message: `PostgreSQL refused the data (SQLSTATE ${error.code}${place === undefined ? '' : `, ${place}`})`,
    ...(place === undefined ? {} : { constraint: place }),
  };
}

/** Why an attempt's update is refused for good; nothing for an error that may pass or be mended. */
export function refusalOf(error: unknown): Reason | undefined {
  if (error instanceof RefusedError) return error.reason;
  if (isDatabaseError(error) && verdictOf(error) === 'refusal') return reasonOf(error);
  return undefined;
}

/** What the server names as the place of an error: a constraint, a column or a table. */
export function placeOf({ constraint, column, table }: DatabaseErrorFields): string | undefined {
  return constraint ?? column ?? table;
}
