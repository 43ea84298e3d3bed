import { constants } from 'node:os';
import { AgeTooLowError, type Collection, collect } from '../../collector/collect';
import { readStoresConfig } from '../../config';
import { isTwinwriteError } from '../../domain/errors';
import { reasonOf } from '../../stack/reasons';
import { assertStores } from '../../worker/stores';
import type { Age, CollectCommandOptions } from '../commands/collect';
import { whileOpen } from '../epoch/while-open';
import { CommandFailure, UsageError } from '../failure';
import { createOutput, type Output } from '../output';
import { openMongo, openPostgres } from '../stores';
import { connectToTemporal } from '../temporal';
import { showProgress } from './progress';

const SIGNALS = ['SIGINT', 'SIGTERM'] as const;

/** Runs the collector once over the stores and the Temporal of the environment. */
export async function runCollector(options: CollectCommandOptions): Promise<void> {
  const { olderThan } = options;
  // Checked here and not by commander, which would say it of a misspelled option as well.
  if (olderThan === undefined) {
    throw new UsageError('Say from which age on with --older-than, such as --older-than 400d.');
  }
  const output = createOutput(options);
  const { postgresUrl, mongoUri } = readStoresConfig();
  const postgres = await openPostgres(postgresUrl, 3);
  try {
    const mongo = await openMongo(mongoUri);
    try {
      await assertStores(postgres, mongo);
      const twinwrite = await connectToTemporal();
      try {
        const temporal = twinwrite.client;
        const stores = { postgres, db: mongo.db(), temporal };
        await whileOpen({ postgres, mongo }, () =>
          collectUntilSignal(stores, { ...options, olderThan }, output),
        );
      } finally {
        await twinwrite.close();
      }
    } finally {
      await mongo.close();
    }
  } finally {
    await postgres.end();
  }
}

type Stores = Pick<Parameters<typeof collect>[0], 'postgres' | 'db' | 'temporal'>;

async function collectUntilSignal(
  stores: Stores,
  options: CollectCommandOptions & { readonly olderThan: Age },
  output: Output,
): Promise<void> {
  const { olderThan, limit = Number.POSITIVE_INFINITY, dryRun: isDryRun = false } = options;
  const interruption = new AbortController();
  const progress = showProgress();
  const interrupt = (signal: (typeof SIGNALS)[number]): void => {
    process.exitCode = 128 + constants.signals[signal];
    output.note('Interrupted: it finishes its batch. A second signal ends it at once.');
    interruption.abort();
  };
  // Once: what has no listener any more ends the process, which is safe at any moment.
  for (const signal of SIGNALS) process.once(signal, interrupt);
  try {
    const collection = await collect({
      ...stores,
      olderThanMillis: olderThan.millis,
      limit,
      isDryRun,
      signal: interruption.signal,
      report: (state) => progress.update(state),
    });
    progress.stop();
    output.result({ isDryRun, ...collection }, summaryOf(collection, isDryRun));
  } catch (error) {
    progress.stop();
    throw sayWhatToDo(error, olderThan);
  } finally {
    for (const signal of SIGNALS) process.off(signal, interrupt);
  }
}

function summaryOf({ collected, kept, busy, isFinished }: Collection, isDryRun: boolean): string {
  const { unsettled, retained, young } = kept;
  const all = unsettled + retained + young;
  const reasons = `not settled ${unsettled}, known to Temporal ${retained}, young in MongoDB ${young}`;
  const counts = `collected: ${collected} kept: ${all} (${reasons}) busy: ${busy}`;
  return [
    isDryRun ? `would be ${counts}` : counts,
    ...(isFinished ? [] : ['The rest of the ledger was not looked at.']),
  ].join('\n');
}

/** The errors of a bug keep their stack; every other one came from a server. */
const BUGS = [TypeError, ReferenceError, RangeError, SyntaxError];

function sayWhatToDo(error: unknown, { text }: Age): unknown {
  if (error instanceof AgeTooLowError) {
    const hours = Math.ceil(error.lowestMillis / 3_600_000);
    const lowest = hours % 24 === 0 ? `${hours / 24}d` : `${hours}h`;
    return new UsageError(
      `--older-than ${text} is too low: Temporal retains the workflows of the namespace "${error.namespace}" nearly as long, and one that is retained may run again. Use ${lowest} or more.`,
    );
  }
  if (isTwinwriteError(error) || BUGS.some((kind) => error instanceof kind)) return error;
  return new CommandFailure(
    `A store failed (${reasonOf(error)}). What was collected stays so, and the rest is as it was; check the stores and run the command again.`,
    { cause: error },
  );
}
