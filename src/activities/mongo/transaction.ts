import type { ClientSession, MongoClient } from 'mongodb';

export interface TransactionOptions {
  /**
   * Bounds the whole transaction. The server's own `transactionLifetimeLimitSeconds` ends what a
   * dead worker left open.
   */
  readonly timeoutMillis: number;
}

/**
 * Runs `work` in a transaction of its own session, and commits with majority.
 *
 * When it returns, the transaction is committed. When it throws, it is aborted or **in doubt**: any
 * error of the commit may stand for one that was carried out. Callers resolve that by claiming the
 * token again, never by guessing (clause 4). The driver's `withTransaction` is not used: it retries
 * for two minutes, far beyond an attempt.
 */
export async function inTransaction<Result>(
  client: MongoClient,
  options: TransactionOptions,
  work: (session: ClientSession) => Promise<Result>,
): Promise<Result> {
  const session = client.startSession();
  const deadline = startDeadline(options.timeoutMillis);
  try {
    session.startTransaction({
      readConcern: { level: 'snapshot' },
      writeConcern: { w: 'majority', journal: true },
      readPreference: 'primary',
    });
    const result = await Promise.race([work(session), deadline.passed]);
    await Promise.race([session.commitTransaction(), deadline.passed]);
    return result;
  } finally {
    deadline.clear();
    // Ending the session aborts what is still open, and makes every later operation of a callback
    // that outlived its deadline fail.
    await session.endSession().catch(() => {});
  }
}

class MongoDeadlineError extends Error {
  override readonly name = 'MongoDeadlineError';

  constructor(timeoutMillis: number) {
    super(`MongoDB did not finish within ${timeoutMillis} ms`);
  }
}

function startDeadline(timeoutMillis: number) {
  let timer: NodeJS.Timeout | undefined;
  const passed = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new MongoDeadlineError(timeoutMillis)), timeoutMillis);
  });
  // Nobody may be listening when it passes.
  passed.catch(() => {});
  return { passed, clear: () => clearTimeout(timer) };
}
