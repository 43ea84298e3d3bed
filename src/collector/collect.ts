import type { Client } from '@temporalio/client';
import type { Db } from 'mongodb';
import type { Pool } from 'pg';
import { findYoungEntries, removeOldEntries } from '../activities/mongo/collection';
import {
  countLedgerBlocks,
  deleteSettled,
  lockSettled,
  type OldEntry,
  readOldEntries,
} from '../activities/postgres/collection';
import { inTransaction } from '../activities/postgres/transaction';
import { findRetained, readForgottenAfterMillis } from './retention';

export interface CollectOptions {
  readonly postgres: Pool;
  readonly db: Db;
  /** In the namespace of the updates: another one would know none of them. */
  readonly temporal: Client;
  /** At least the namespace's retention and a day. */
  readonly olderThanMillis: number;
  /** How many rows to collect at most. */
  readonly limit: number;
  /** Looks, and changes nothing. */
  readonly isDryRun: boolean;
  /** Ends the run after the batch that is under way. */
  readonly signal: AbortSignal;
  readonly report: (progress: CollectProgress) => void;
}

/** What a run has come to. */
export interface Collection {
  collected: number;
  readonly kept: KeptCounts;
  /** Locked by somebody, or collected by another run meanwhile. */
  busy: number;
  /** Whether it came to the end of the ledger. */
  isFinished: boolean;
}

/** Old rows that stay, by the reason. */
interface KeptCounts {
  /** Forward, undoing, waiting for their turn, or parked. */
  unsettled: number;
  /** Temporal knows their workflow. */
  retained: number;
  /** MongoDB's ledger document is younger than the row in PostgreSQL. */
  young: number;
}

export interface CollectProgress {
  readonly collection: Collection;
  /** How much of the ledger is behind it, from 0 to 1. */
  readonly share: number;
}

/** The age is not beyond what Temporal may still know. */
export class AgeTooLowError extends Error {
  override readonly name = 'AgeTooLowError';

  constructor(
    readonly namespace: string,
    readonly lowestMillis: number,
  ) {
    super(`the lowest age in the namespace "${namespace}" is ${lowestMillis} ms`);
  }
}

/** Some MiB of the ledger: so much is in memory at once, and a statement takes milliseconds. */
const PAGE_BLOCKS = 256;

/** How many rows are locked at once, for as long as Temporal and MongoDB take to answer. */
const BATCH = 200;

const BATCH_TIMEOUT_MILLIS = 30_000;

/**
 * Deletes what both ledgers know of settled updates that are older than the given age, and that
 * Temporal has forgotten. A token whose rows are gone is free: submitted again, it is a new update.
 *
 * 1. MongoDB's ledger document goes first and PostgreSQL's row last (F29). Between the two the row
 *    still answers the recorded outcome and no leg runs, so it may be killed at any moment; the next
 *    run finishes. The other way around a token that comes back would be applied in PostgreSQL and
 *    not in MongoDB.
 * 2. The rows are locked before Temporal is asked. A workflow that starts after the answer waits in
 *    its claim until the row is gone, and is a new update; one that started before it is known, and
 *    its row stays. So no row is deleted that a reset could ask for.
 * 3. Only what is settled is touched: no row in `pending`, looked at under the lock.
 *
 * Any number of runs at once leave each other's rows alone. Ages are measured by PostgreSQL's clock
 * in PostgreSQL; in MongoDB an entry carries the clock of its worker.
 *
 * @throws AgeTooLowError; TwinwriteError `Unavailable`, `InvalidConfiguration`
 */
export async function collect(options: CollectOptions): Promise<Collection> {
  const { postgres, temporal, olderThanMillis, signal, limit, report } = options;
  const lowestMillis = await readForgottenAfterMillis(temporal);
  if (olderThanMillis < lowestMillis) {
    throw new AgeTooLowError(temporal.options.namespace, lowestMillis);
  }
  const cutoff = await readCutoff(postgres, olderThanMillis);
  const blocks = await countLedgerBlocks(postgres);
  const collection = emptyCollection();
  for (let from = 0; from < blocks; from += PAGE_BLOCKS) {
    const page = await readOldEntries(postgres, cutoff, { from, to: from + PAGE_BLOCKS });
    collection.kept.unsettled += page.unsettled;
    for (let first = 0; first < page.settled.length; ) {
      if (signal.aborted || collection.collected >= limit) return collection;
      const size = Math.min(BATCH, limit - collection.collected);
      const batch = page.settled.slice(first, first + size);
      add(collection, await collectBatch(options, batch, cutoff));
      first += batch.length;
      report({ collection, share: (from + PAGE_BLOCKS * (first / page.settled.length)) / blocks });
    }
    if (signal.aborted) return collection;
    report({ collection, share: Math.min(1, (from + PAGE_BLOCKS) / blocks) });
  }
  collection.isFinished = true;
  return collection;
}

type BatchCounts = Pick<Collection, 'collected' | 'busy'> & Pick<KeptCounts, 'retained' | 'young'>;

async function collectBatch(
  { postgres, db, temporal, isDryRun }: CollectOptions,
  batch: readonly OldEntry[],
  cutoff: Date,
): Promise<BatchCounts> {
  if (isDryRun) {
    const retained = await findRetained(temporal, batch);
    const forgotten = batch.filter((entry) => !retained.has(entry));
    const young = await findYoungEntries(db, forgotten, cutoff);
    const collected = forgotten.length - young.size;
    return { collected, retained: retained.size, young: young.size, busy: 0 };
  }
  return await inTransaction(postgres, { timeoutMillis: BATCH_TIMEOUT_MILLIS }, async (client) => {
    const locked = await lockSettled(client, batch, cutoff);
    const retained = await findRetained(temporal, locked);
    const forgotten = locked.filter((entry) => !retained.has(entry));
    const young = await removeOldEntries(db, forgotten, cutoff);
    const removed = forgotten.filter((entry) => !young.has(entry));
    const collected = await deleteSettled(client, removed);
    const busy = batch.length - locked.length;
    return { collected, retained: retained.size, young: young.size, busy };
  });
}

async function readCutoff(postgres: Pool, olderThanMillis: number): Promise<Date> {
  const { rows } = await postgres.query<{ cutoff: Date }>(
    /*sql*/ `select now() - $1 * interval '1 millisecond' as cutoff`,
    [olderThanMillis],
  );
  const cutoff = rows[0]?.cutoff;
  if (cutoff === undefined) throw new Error('PostgreSQL did not say what time it is');
  return cutoff;
}

function emptyCollection(): Collection {
  const kept = { unsettled: 0, retained: 0, young: 0 };
  return { collected: 0, kept, busy: 0, isFinished: false };
}

function add(collection: Collection, { collected, retained, young, busy }: BatchCounts): void {
  collection.collected += collected;
  collection.busy += busy;
  collection.kept.retained += retained;
  collection.kept.young += young;
}
