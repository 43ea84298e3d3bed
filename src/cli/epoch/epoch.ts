import { MongoError } from 'mongodb';
import { parseStop, type Stop } from '../../activities/epoch-stop';
import { read as readMongo } from '../../activities/mongo/epoch';
import { read as readPostgres } from '../../activities/postgres/epoch';
import { isDatabaseError } from '../../activities/postgres/errors';
import { readStoresConfig } from '../../config';
import type { TwinwriteConfig } from '../../define-config';
import type { Finding, RepairedStores, WorkersOfStores } from '../../epoch/finding';
import { raiseEpoch } from '../../epoch/raise';
import { assertStores } from '../../worker/stores';
import type { RaiseEpochOptions, ShowEpochOptions } from '../commands/epoch';
import { CommandFailure, EXIT, UsageError } from '../failure';
import { loadConfig } from '../load-config';
import { taskQueueOf } from '../options';
import { createOutput, type Output } from '../output';
import { openMongo, openPostgres } from '../stores';
import { connectToTemporal } from '../temporal';
import { describeEpochs, FindingTally, lineOf } from './describe';

/** What the stores know of themselves and of each other. */
export interface EpochReport {
  readonly postgres: { readonly epoch: number; readonly tick: number; readonly mongoTick: number };
  readonly mongo: { readonly epoch: number; readonly tick: number; readonly postgresTick: number };
  /** Why nothing is written; null while everything is. */
  readonly stopped: Stop | null;
  readonly isPair: boolean;
}

export async function showEpoch(options: ShowEpochOptions): Promise<void> {
  const output = createOutput(options);
  await withStores(async (stores) => {
    const report = await readReport(stores);
    output.result(report, describeEpochs(report));
    if (report.stopped !== null) process.exitCode = EXIT.failed;
  });
}

async function readReport({ postgres, mongo }: RepairedStores): Promise<EpochReport> {
  const own = await readPostgres(postgres);
  const other = await readMongo(mongo.db());
  const stopped = own.stopped ?? other.stopped;
  return {
    postgres: { epoch: own.epoch, tick: own.tick, mongoTick: own.mongoTick },
    mongo: { epoch: other.epoch, tick: other.tick, postgresTick: other.postgresTick },
    stopped: stopped === undefined ? null : parseStop(stopped),
    isPair: own.pair === other.pair || own.mongoTick === 0,
  };
}

export async function raise(options: RaiseEpochOptions): Promise<void> {
  const output = createOutput(options);
  const config = await loadConfig(options.config);
  assertProjections(config, options.config);
  const twinwrite = options.temporal ? await connectToTemporal() : undefined;
  try {
    await withStores(async (stores) => {
      const taskQueues = options.taskQueue ?? [taskQueueOf({}, config)];
      const temporal = twinwrite && { client: twinwrite.client, taskQueues };
      await raiseOver(stores, config, { ...options, workers: temporal }, output);
    });
  } finally {
    await twinwrite?.close();
  }
}

/** @throws UsageError */
function assertProjections({ updates, projections = [] }: TwinwriteConfig, file: string): void {
  const projecting = updates.find(({ form }) => form === 'projection');
  if (projecting === undefined || projections.length > 0) return;
  throw new UsageError(
    `${file} lists no projections, and ${projecting.name} has one: list all of them, or their documents are not repaired: defineConfig({ updates, projections: [orders] }).`,
  );
}

async function raiseOver(
  stores: RepairedStores,
  { updates, projections = [] }: TwinwriteConfig,
  options: RaiseEpochOptions & { readonly workers: WorkersOfStores | undefined },
  output: Output,
): Promise<void> {
  const { dryRun: isDryRun = false, reason = 'raised by hand', pair: isNewPair = false } = options;
  const tally = new FindingTally();
  const report = (finding: Finding) => {
    tally.add(finding);
    if (output.isJson) output.jsonLine(finding);
    else process.stdout.write(`${lineOf(finding, isDryRun)}\n`);
  };
  const epoch = await raiseEpoch({
    ...stores,
    updates,
    projections,
    temporal: options.workers,
    isDryRun,
    isNewPair,
    since: options.since,
    reason,
    report,
  }).catch((error: unknown) => {
    throw explain(error, isDryRun);
  });
  if (output.isJson) output.jsonLine({ summary: { epoch, isDryRun, ...tally.document } });
  else output.result({}, tally.sentence(epoch, isDryRun));
  if (tally.left > 0) process.exitCode = EXIT.failed;
}

/** What a store said quotes rows; its code does not. */
function explain(error: unknown, isDryRun: boolean): unknown {
  const again = isDryRun
    ? 'Nothing was changed; mend the cause and run the command again.'
    : 'The stores stay stopped; mend the cause and run the command again.';
  if (isDatabaseError(error)) {
    const sentence = `PostgreSQL failed with SQLSTATE ${error.code}. ${again}`;
    return new CommandFailure(sentence, { cause: error });
  }
  if (!(error instanceof MongoError)) return error;
  const sentence = `MongoDB failed with ${error.code ?? error.name}. ${again}`;
  return new CommandFailure(sentence, { cause: error });
}

async function withStores(work: (stores: RepairedStores) => Promise<void>): Promise<void> {
  const { postgresUrl, mongoUri } = readStoresConfig();
  const postgres = await openPostgres(postgresUrl, CONNECTIONS);
  try {
    const mongo = await openMongo(mongoUri);
    try {
      await assertStores(postgres, mongo);
      await work({ postgres, mongo });
    } finally {
      await mongo.close();
    }
  } finally {
    await postgres.end();
  }
}

/** The repair writes some documents at once, each of which may ask PostgreSQL. */
const CONNECTIONS = 8;
