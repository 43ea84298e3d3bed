import type { ClientSession, MongoClient } from 'mongodb';
import { TwinwriteError } from '../../domain/errors';
import type { LedgerKey } from '../ledger-key';
import { startDeadline, within } from './deadline';
import { asInDoubt, isAbortedByServer } from './errors';
import { killSession, noteOpen } from './orphans';
import { assertOpen as assertStoreOpen } from './store-guard';

export interface TransactionOptions {
  /**
   * Bounds the whole transaction. What a dead worker left open is ended by whoever meets it, or at
   * last by the server's own `transactionLifetimeLimitSeconds`.
   */
  readonly timeoutMillis: number;
  /** Whose transaction it is. */
  readonly key: Pick<LedgerKey, 'definition' | 'token'>;
  /** Off for what is right in a store that went back in time as well (clause 13). */
  readonly guard?: 'on' | 'off';
}

/**
 * Runs `work` in a transaction of its own session, and commits with majority.
 *
 * When it returns, the transaction is committed. When it throws, it is aborted or **in doubt**: any
 * error of the commit may stand for one that was carried out. Callers resolve that by claiming the
 * token again, never by guessing (clause 4). The driver's `withTransaction` is not used: it retries
 * for two minutes, far beyond an attempt.
 *
 * @throws StoreUnverifiedError; TwinwriteError `StoresStopped`
 */
export async function inTransaction<Result>(
  client: MongoClient,
  options: TransactionOptions,
  work: (session: ClientSession) => Promise<Result>,
): Promise<Result> {
  const { key, timeoutMillis } = options;
  const session = client.startSession();
  const deadline = startDeadline(timeoutMillis);
  // Beside the first operations, so that they cost no time.
  const noted = noteOpen(client, session, key, timeoutMillis);
  const admitted = options.guard === 'off' ? Promise.resolve() : assertStoreOpen(client.db());
  // The callback may be what fails first.
  admitted.catch(() => {});
  try {
    session.startTransaction({
      readConcern: { level: 'snapshot' },
      writeConcern: { w: 'majority', journal: true },
      readPreference: 'primary',
    });
    const result = await Promise.race([work(session), deadline.passed]);
    assertOpen(session, key);
    await Promise.race([Promise.all([noted, admitted]), deadline.passed]);
    await Promise.race([commit(session), deadline.passed]);
    await session.endSession();
    return result;
  } catch (error) {
    await giveUp(client, session, error);
    throw error;
  } finally {
    deadline.clear();
  }
}

/** The attempt has failed, and Temporal waits for its answer. */
const END_WITHIN_MILLIS = 250;

async function commit(session: ClientSession): Promise<void> {
  try {
    await session.commitTransaction();
  } catch (error) {
    throw asInDoubt(error);
  }
}

/** A callback that commits or aborts by itself takes the claim along, or loses it. */
function assertOpen(session: ClientSession, { definition }: TransactionOptions['key']): void {
  if (session.inTransaction()) return;
  const problem = 'ended the transaction, which belongs to Twinwrite';
  throw new TwinwriteError('TransactionMisused', { definition, problem });
}

/**
 * Leaves nothing open on the server. The driver's own abort is not enough: it is not sent after a
 * commit, even one that never arrived, and it waits for a command that is still running.
 */
async function giveUp(client: MongoClient, session: ClientSession, error: unknown): Promise<void> {
  if (!isAbortedByServer(error)) await killSession(client, session.id?.id);
  // An ended session makes every later operation of a callback that outlived its deadline fail.
  await within(END_WITHIN_MILLIS, session.endSession()).catch(() => {});
}
