import type { Stop } from '../activities/epoch-stop';
import * as mongoEpoch from '../activities/mongo/epoch';
import * as mongoGuard from '../activities/mongo/store-guard';
import * as postgresEpoch from '../activities/postgres/epoch';
import * as postgresGuard from '../activities/postgres/store-guard';
import { TwinwriteError } from '../domain/errors';
import { repairDocuments } from './documents';
import type { Repair } from './finding';
import { findUnknown, repairMongoLedger } from './ledgers';
import { restartRuns, restartUnknown } from './runs';

export interface RaiseOptions extends Repair {
  /** Recorded with the epoch. */
  readonly reason: string;
  /** Takes a MongoDB database in the place of the one that PostgreSQL knows. */
  readonly isNewPair: boolean;
  /** From when on PostgreSQL may have lost what Temporal saw end; its last tick unless given. */
  readonly since?: Date | undefined;
}

/**
 * Brings two stores together again of which one went back in time, and opens them (clause 13).
 * PostgreSQL's present is the truth for documents; for updates, whatever was told to be applied is
 * applied again where its input is still known.
 *
 * 1. Both stores are stopped, and whoever was let in before has ended.
 * 2. The new epoch is above both stores' epochs, so every later version is above anything of the
 *    time that was lost. The ticks are aligned.
 * 3. What was lost is repaired. Each part may run again, and finds what the last run has not done.
 * 4. MongoDB is opened, then PostgreSQL, which every leg asks.
 *
 * It may be killed at any moment: the stores stay stopped, and running it again begins anew with an
 * epoch higher. The pool and the client are the repair's alone: nothing stops what they do.
 *
 * @returns the epoch; in a dry run, the one that it would be.
 * @throws TwinwriteError `UnsuitableStore`, `Unavailable`
 */
export async function raiseEpoch(options: RaiseOptions): Promise<number> {
  const { postgres, mongo, isDryRun } = options;
  postgresGuard.exempt(postgres);
  mongoGuard.exempt(mongo);
  const own = await postgresEpoch.read(postgres);
  const other = await mongoEpoch.read(mongo.db());
  assertPair(options, own, other);
  const epoch = Math.max(own.epoch, other.epoch) + 1;
  if (!isDryRun) await stopAndRaise(options, own, other, epoch);
  for (const projection of options.projections) await repairDocuments(options, projection);
  await repairMongoLedger(options);
  await repairRuns(options, options.since ?? own.tickedAt);
  if (!isDryRun) {
    await mongoEpoch.lift(mongo.db());
    await postgresEpoch.lift(postgres);
  }
  return epoch;
}

function assertPair(
  { isNewPair, mongo }: RaiseOptions,
  own: postgresEpoch.PostgresEpoch,
  other: mongoEpoch.MongoEpoch,
): void {
  if (isNewPair || other.pair === own.pair || own.mongoTick === 0) return;
  throw new TwinwriteError('UnsuitableStore', {
    store: 'MongoDB',
    problem: `its database "${mongo.db().databaseName}" was never used together with this PostgreSQL database; check DATABASE_URL and MONGODB_URI. Where it takes the place of one that was lost, say so with --pair.`,
  });
}

async function stopAndRaise(
  { postgres, mongo, reason }: RaiseOptions,
  own: postgresEpoch.PostgresEpoch,
  other: mongoEpoch.MongoEpoch,
  epoch: number,
): Promise<void> {
  const db = mongo.db();
  const since = new Date().toISOString();
  const stop: Stop = { store: 'none', ticks: 0, epoch: epoch - 1, since };
  await postgresEpoch.stop(postgres, stop);
  await mongoEpoch.stop(db, stop);
  await postgresEpoch.drain(postgres);
  // One above what anybody remembers: a dump of before this must not look like this.
  const postgresTick = Math.max(own.tick, other.postgresTick) + 1;
  const mongoTick = Math.max(other.tick, own.mongoTick) + 1;
  await mongoEpoch.raise(db, { epoch, tick: mongoTick, postgresTick, pair: own.pair });
  await postgresEpoch.raise(postgres, { epoch, tick: postgresTick, mongoTick, reason });
}

async function repairRuns(options: RaiseOptions, since: Date): Promise<void> {
  const { temporal, report } = options;
  const seen = temporal === undefined ? new Set() : await restartRuns(options, temporal, since);
  for (const name of await findUnknown(options)) {
    if (seen.has(`${name.definition}/${name.token}`)) continue;
    const end =
      temporal === undefined
        ? ({ end: 'needs somebody', reason: 'Temporal was not asked for its input' } as const)
        : await restartUnknown(options, temporal.client, name);
    report({ what: 'update', ...name, found: 'lost in PostgreSQL', ...end });
  }
}
