import { once } from 'node:events';
import { BSON, MongoError } from 'mongodb';
import {
  type Adoption,
  type AdoptionStores,
  adoptStrangers,
  findStrangers,
  inspectStrangers,
} from '../../activities/adoption';
import type { ProjectedDocument } from '../../activities/mongo/projection';
import { isDatabaseError } from '../../activities/postgres/errors';
import { RefusedError } from '../../activities/refusal';
import { readStoresConfig } from '../../config';
import type { TwinwriteConfig } from '../../define-config';
import type { Projection } from '../../domain/projection';
import { assertStores } from '../../worker/stores';
import type { AdoptCommandOptions } from '../commands/adopt';
import { whileOpen } from '../epoch/while-open';
import { CommandFailure, EXIT, UsageError } from '../failure';
import { loadConfig } from '../load-config';
import { suggest } from '../nearest';
import { createOutput, type Output } from '../output';
import { openMongo, openPostgres } from '../stores';
import { AdoptionTally, lineOf } from './describe';

/** Adopts the documents of a collection, or tells what that would do. */
export async function adopt(collection: string, options: AdoptCommandOptions): Promise<void> {
  const output = createOutput(options);
  const config = await loadConfig(options.config);
  const projection = findProjection(config, collection, options.config);
  const { postgresUrl, mongoUri } = readStoresConfig();
  const postgres = await openPostgres(postgresUrl, 2);
  try {
    const mongo = await openMongo(mongoUri);
    try {
      await assertStores(postgres, mongo, [projection]);
      const stores = { postgres, db: mongo.db() };
      const adopting = () =>
        adoptAll(stores, projection, options, output).catch((error: unknown) => {
          throw explain(error, collection);
        });
      await whileOpen({ postgres, mongo }, adopting);
    } finally {
      await mongo.close();
    }
  } finally {
    await postgres.end();
  }
}

/** @throws UsageError with the nearest collection. */
function findProjection(
  { projections = [] }: TwinwriteConfig,
  collection: string,
  file: string,
): Projection {
  const found = projections.find((projection) => projection.collection === collection);
  if (found !== undefined) return found;
  const name = JSON.stringify(collection);
  if (projections.length === 0) {
    throw new UsageError(
      `${file} lists no projections; name the one of ${name}: defineConfig({ updates, projections: [orders] }).`,
    );
  }
  const choices = projections.map((projection) => projection.collection);
  throw new UsageError(
    `${file} has no projection with the collection ${name}. ${suggest(collection, choices)}`,
  );
}

async function adoptAll(
  stores: AdoptionStores,
  projection: Projection,
  { dryRun = false }: AdoptCommandOptions,
  output: Output,
): Promise<void> {
  const treat = dryRun ? inspectStrangers : adoptStrangers;
  const tally = new AdoptionTally(projection.collection, dryRun);
  for await (const documents of inBatches(findStrangers(stores.db, projection))) {
    for (const adoption of await treat(stores, projection, documents)) {
      tally.add(adoption);
      await tell(output, adoption);
    }
  }
  if (output.isJson) output.jsonLine({ summary: tally.document });
  else output.result({}, tally.sentence);
  if (tally.left > 0) process.exitCode = EXIT.failed;
}

/** So many are locked in PostgreSQL at once. */
const BATCH_DOCUMENTS = 50;
const BATCH_BYTES = 16 * 1024 * 1024;

/** Bounded in bytes as well: memory stays flat, however large the documents are. */
async function* inBatches(
  documents: AsyncIterable<ProjectedDocument>,
): AsyncGenerator<ProjectedDocument[]> {
  let batch: ProjectedDocument[] = [];
  let bytes = 0;
  for await (const document of documents) {
    batch.push(document);
    bytes += BSON.calculateObjectSize(document);
    if (batch.length < BATCH_DOCUMENTS && bytes < BATCH_BYTES) continue;
    yield batch;
    batch = [];
    bytes = 0;
  }
  if (batch.length > 0) yield batch;
}

async function tell(output: Output, adoption: Adoption): Promise<void> {
  const line = output.isJson ? JSON.stringify(adoption) : lineOf(adoption);
  // What is read slowly must not pile up in memory.
  if (line !== undefined && !process.stdout.write(`${line}\n`)) await once(process.stdout, 'drain');
}

/** What a store said quotes rows; its code does not. */
function explain(error: unknown, collection: string): unknown {
  const again = 'What was adopted stays so; mend the cause and run the command again.';
  if (isDatabaseError(error)) {
    return new CommandFailure(
      `PostgreSQL failed with SQLSTATE ${error.code} at the image of "${collection}". ${again}`,
      { cause: error },
    );
  }
  if (error instanceof MongoError) {
    const code = error.code ?? error.name;
    return new CommandFailure(`MongoDB failed with ${code} at "${collection}". ${again}`, {
      cause: error,
    });
  }
  if (!(error instanceof RefusedError)) return error;
  return new CommandFailure(`${error.message}. ${again}`, { cause: error });
}
