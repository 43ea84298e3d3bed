import type { MongoClient } from 'mongodb';
import type { Pool } from 'pg';
import { TwinwriteError } from '../domain/errors';
import { parseStop, type Stop, StoreUnverifiedError, stoppedError } from './epoch-stop';
import * as mongoEpoch from './mongo/epoch';
import * as mongoGuard from './mongo/store-guard';
import * as postgresEpoch from './postgres/epoch';
import * as postgresGuard from './postgres/store-guard';

export interface CheckedStores {
  readonly postgres: Pool;
  readonly mongo: MongoClient;
}

/**
 * Compares what each store remembers of the other, and lets both remember more (clause 13, F12).
 *
 * 1. A tick is committed in one store before the other remembers it. So a store whose own tick is
 *    below what the other remembers went back in time: both are stopped, until the epoch is raised.
 * 2. It compares before it ticks: a store that went back must not catch up by ticking.
 * 3. A PostgreSQL that is not what it was (restarted, promoted, restored) and whose ticks agree gets
 *    a new epoch by itself. What it may have lost since its last tick had versions, and a later
 *    update must never get one of them again: MongoDB would take it for superseded.
 * 4. Whoever is refused because a store is not as this process knew it has both compared, and then
 *    tries again.
 *
 * What stays unnoticed is a loss since the last tick, at most about a second, in MongoDB or, where
 * the same server process and the same tables got older rows, in PostgreSQL.
 */
export class EpochCheck {
  #running: Promise<number> | undefined;

  constructor(private readonly stores: CheckedStores) {
    postgresGuard.requireCheck(stores.postgres);
  }

  /**
   * Answers the epoch when the stores agree. Calls at once share one comparison.
   *
   * @throws TwinwriteError `StoresStopped`, `UnsuitableStore` for stores that do not belong together
   */
  async run(): Promise<number> {
    this.#running ??= compare(this.stores).finally(() => {
      this.#running = undefined;
    });
    return await this.#running;
  }

  /** Runs `work`; where a store has to be compared first, that is done and it runs once more. */
  async around<Result>(work: () => Promise<Result>): Promise<Result> {
    try {
      return await work();
    } catch (error) {
      if (!(error instanceof StoreUnverifiedError)) throw error;
      await this.run();
      return await work();
    }
  }
}

/** Another worker may tick, stop or raise between two of our reads. */
const ATTEMPTS = 5;

async function compare(stores: CheckedStores): Promise<number> {
  for (let attempt = 1; attempt <= ATTEMPTS; attempt += 1) {
    const epoch = await compareOnce(stores);
    if (epoch !== undefined) return epoch;
  }
  throw new Error('the stores changed whenever they were compared; it is tried again');
}

/** Answers nothing when something changed meanwhile. */
async function compareOnce(stores: CheckedStores): Promise<number | undefined> {
  const { postgres, mongo } = stores;
  const db = mongo.db();
  const remembered = await mongoEpoch.read(db);
  const own = await postgresEpoch.tick(postgres, remembered);
  if (own === undefined) {
    const found = await postgresEpoch.read(postgres);
    assertPair(stores, remembered, found);
    // A MongoDB without anything is as far behind as can be, and remembers nothing.
    const isEmpty = remembered.pair === undefined && found.mongoTick > 0;
    const wentBack = isEmpty
      ? ({ store: 'MongoDB', ticks: found.mongoTick } as const)
      : ({ store: 'PostgreSQL', ticks: remembered.postgresTick - found.tick } as const);
    return await stopFor(stores, remembered, found, wentBack);
  }
  const other = await mongoEpoch.tick(db, own);
  if (other === undefined) {
    const found = await mongoEpoch.read(db);
    assertPair(stores, found, own);
    const behind = own.mongoTick - found.tick;
    return await stopFor(stores, found, own, { store: 'MongoDB', ticks: behind });
  }
  return await agree(stores, own, other);
}

async function agree(
  { postgres, mongo }: CheckedStores,
  own: postgresEpoch.PostgresEpoch,
  other: mongoEpoch.MongoEpoch,
): Promise<number | undefined> {
  const { incarnation, here, pair } = own;
  const isAnother = incarnation !== null && incarnation !== here;
  const epoch = Math.max(own.epoch, other.epoch) + (isAnother ? 1 : 0);
  // MongoDB first: an epoch that it does not know of must not be in any version.
  if (epoch > other.epoch) {
    await mongoEpoch.raise(mongo.db(), {
      epoch,
      tick: other.tick,
      postgresTick: own.tick,
      pair,
    });
  }
  const agreement = { mongoTick: other.tick, here, incarnation, epoch };
  if (!(await postgresEpoch.agree(postgres, agreement))) return undefined;
  postgresGuard.noteTick(postgres, own.tick);
  mongoGuard.noteTick(mongo, other.tick);
  return epoch;
}

/** @throws TwinwriteError `UnsuitableStore` */
function assertPair(
  { mongo }: CheckedStores,
  { pair }: mongoEpoch.MongoEpoch,
  own: postgresEpoch.PostgresEpoch,
): void {
  // One that this process has seen in the pair has lost what says so: it is no stranger.
  const isLost = pair === undefined && mongoGuard.knownTickOf(mongo) !== undefined;
  const isFresh = pair === undefined && own.mongoTick === 0;
  if (pair === own.pair || isLost || isFresh) return;
  throw new TwinwriteError('UnsuitableStore', {
    store: 'MongoDB',
    problem: `its database "${mongo.db().databaseName}" was never used together with this PostgreSQL database; check DATABASE_URL and MONGODB_URI. Where it takes the place of one that was lost, run "twinwrite epoch raise --pair".`,
  });
}

/** Stops both stores for what was found, or for what one of them was stopped for already. */
async function stopFor(
  { postgres, mongo }: CheckedStores,
  other: mongoEpoch.MongoEpoch,
  own: postgresEpoch.PostgresEpoch,
  found: Pick<Stop, 'store' | 'ticks'>,
): Promise<undefined> {
  const before = own.stopped ?? other.stopped;
  if (before === undefined && found.ticks <= 0) return undefined;
  const stop: Stop =
    before === undefined
      ? { ...found, epoch: Math.max(own.epoch, other.epoch), since: new Date().toISOString() }
      : parseStop(before);
  await postgresEpoch.stop(postgres, stop);
  await mongoEpoch.stop(mongo.db(), stop);
  throw stoppedError(stop);
}
