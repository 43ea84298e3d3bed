import type { Pool, PoolClient, QueryResult } from 'pg';
import { CLAIM_WAIT_MILLIS, statementTimeoutMillis } from '../../domain/bounds';
import { explainGuard, guardStatement } from './store-guard';

export interface TransactionOptions {
  /** Bounds the whole transaction; the server's own timeouts lie below it. */
  readonly timeoutMillis: number;
  /** A snapshot for reading several things as of one moment, without writing. */
  readonly mode?: 'read write' | 'snapshot';
  /**
   * Off for what is about the store itself: a store that is stopped, or may have gone back in time,
   * lets nothing else in (clause 13).
   */
  readonly guard?: 'on' | 'off';
}

/**
 * Runs `work` in a transaction of its own connection, and commits.
 *
 * When it returns, the transaction is committed. When it throws, it is rolled back or **in doubt**:
 * a COMMIT whose answer was lost may have been carried out. Callers resolve that by claiming the
 * token again, never by guessing (clause 4).
 *
 * @throws StoreUnverifiedError; TwinwriteError `StoresStopped`
 */
export async function inTransaction<Result>(
  pool: Pool,
  options: TransactionOptions,
  work: (client: PoolClient) => Promise<Result>,
): Promise<Result> {
  const client = await pool.connect();
  // The clock starts with the connection: waiting for the pool is not the store being slow.
  const deadline = startDeadline(client, options.timeoutMillis);
  try {
    await client.query(begin(pool, options));
    // A callback may wait for something else than the store, and for ever.
    const result = await Promise.race([work(client), deadline.passed]);
    assertCommitted(await client.query('commit'));
    client.release();
    return result;
  } catch (error) {
    const isLate = deadline.hasPassed();
    await giveBack(client);
    throw isLate ? new PostgresDeadlineError(options.timeoutMillis, error) : explainGuard(error);
  } finally {
    // Not before: a rollback may be what never answers, and a session that is ended says so late.
    deadline.clear();
  }
}

/**
 * Rolls back, and lets the pool keep the connection only if it is certainly out of the transaction:
 * a dirty one would leak our locks to the next user.
 */
async function giveBack(client: PoolClient): Promise<void> {
  try {
    await client.query('rollback');
    client.release(client.getTransactionStatus() !== 'I');
  } catch {
    client.release(true);
  }
}

class PostgresDeadlineError extends Error {
  override readonly name = 'PostgresDeadlineError';

  constructor(timeoutMillis: number, cause: unknown) {
    super(`PostgreSQL did not finish within ${timeoutMillis} ms`, { cause });
  }
}

class CommitRolledBackError extends Error {
  override readonly name = 'CommitRolledBackError';

  constructor() {
    super(
      'PostgreSQL answered COMMIT with ROLLBACK: a statement had failed and its error was swallowed',
    );
  }
}

/**
 * The isolation level and the timeouts are set, never inherited: a role's default may be another
 * (F42), and a pooler drops session settings.
 */
function begin(pool: Pool, { timeoutMillis, mode, guard }: TransactionOptions): string {
  const level = mode === 'snapshot' ? 'repeatable read read only' : 'read committed read write';
  const statementTimeout = statementTimeoutMillis(timeoutMillis);
  return /*sql*/ `
    begin isolation level ${level};
    set local statement_timeout = ${statementTimeout};
    set local idle_in_transaction_session_timeout = ${statementTimeout};
    set local lock_timeout = ${Math.min(CLAIM_WAIT_MILLIS, statementTimeout)};
    ${guard === 'off' ? '' : guardStatement(pool)}`;
}

/** COMMIT of an aborted transaction succeeds, says ROLLBACK, and has written nothing. */
function assertCommitted(result: QueryResult): void {
  if (result.command !== 'COMMIT') throw new CommitRolledBackError();
}

/**
 * Half-open sockets never answer: past the deadline the connection is destroyed, which fails
 * whatever waits on it.
 */
function startDeadline(client: PoolClient, timeoutMillis: number) {
  let hasPassed = false;
  let timer: NodeJS.Timeout | undefined;
  // A checked-out client that loses its connection emits an error that nobody else listens to,
  // which would end the process.
  const ignore = () => {};
  client.on('error', ignore);
  const passed = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      hasPassed = true;
      client.end().catch(ignore);
      reject(new Error('the deadline has passed'));
    }, timeoutMillis);
  });
  // Nobody may be listening when it passes.
  passed.catch(ignore);
  return {
    passed,
    hasPassed: () => hasPassed,
    clear: () => {
      clearTimeout(timer);
      client.off('error', ignore);
    },
  };
}
