import type { Db } from 'mongodb';
import type { Pool } from 'pg';
import { migrateMongo, pendingMigrations as pendingMongo } from '../../activities/mongo/migrate';
import {
  migratePostgres,
  pendingMigrations as pendingPostgres,
} from '../../activities/postgres/migrate';
import {
  missingSearchAttributes,
  registerSearchAttributes,
  type SearchAttributeRegistration,
} from '../../client/register-search-attributes';
import { readStoresConfig } from '../../config';
import type { MigrateCommandOptions } from '../commands/migrate';
import { createOutput, type Output } from '../output';
import { openMongo, openPostgres } from '../stores';
import { connectToTemporal } from '../temporal';
import { describeResult, planText } from './describe';

/**
 * Brings everything up to date, or prints what that would take. The stores come first: they are
 * what a worker cannot do without.
 */
export async function migrate(options: MigrateCommandOptions): Promise<void> {
  const output = createOutput(options);
  const { postgresUrl, mongoUri } = readStoresConfig();
  // Two: one migrates under a lock while another looks.
  const postgres = await openPostgres(postgresUrl, 2);
  try {
    const mongo = await openMongo(mongoUri);
    try {
      const stores = { postgres, db: mongo.db() };
      await (options.print === true ? print : change)(stores, options, output);
    } finally {
      await mongo.close();
    }
  } finally {
    await postgres.end();
  }
}

interface Stores {
  readonly postgres: Pool;
  readonly db: Db;
}

async function change(
  { postgres, db }: Stores,
  options: MigrateCommandOptions,
  output: Output,
): Promise<void> {
  const database = await databaseOf(postgres);
  const done = {
    postgres: { database, applied: (await migratePostgres(postgres)).map(withoutBody) },
    mongo: { database: db.databaseName, applied: (await migrateMongo(db)).map(withoutBody) },
  };
  output.note(describeResult(done));
  const searchAttributes = options.searchAttributes
    ? await register(output)
    : ({ status: 'skipped' } as const);
  output.result({ ...done, searchAttributes }, registrationSentence(searchAttributes));
}

async function print(
  { postgres, db }: Stores,
  options: MigrateCommandOptions,
  output: Output,
): Promise<void> {
  const plan = {
    postgres: { database: await databaseOf(postgres), pending: await pendingPostgres(postgres) },
    mongo: { database: db.databaseName, pending: await pendingMongo(db) },
    searchAttributes: options.searchAttributes ? await missing() : { namespace: '', pending: [] },
  };
  output.result(plan, planText(plan));
}

async function register(output: Output): Promise<SearchAttributeRegistration> {
  const twinwrite = await connectToTemporal();
  try {
    output.note('Temporal: looking for the search attributes');
    return await registerSearchAttributes(twinwrite.client);
  } finally {
    await twinwrite.close();
  }
}

async function missing() {
  const twinwrite = await connectToTemporal();
  try {
    const { client } = twinwrite;
    return {
      namespace: client.options.namespace,
      pending: await missingSearchAttributes(client),
    };
  } finally {
    await twinwrite.close();
  }
}

function registrationSentence(
  registration: SearchAttributeRegistration | { readonly status: 'skipped' },
): string {
  switch (registration.status) {
    case 'present':
      return 'Temporal: the search attributes are there.';
    case 'registered':
      return `Temporal: registered the search attributes ${registration.names.join(', ')}.`;
    case 'pending':
      return `Temporal: registered the search attributes ${registration.names.join(', ')}; the server will accept them in a while.`;
    case 'denied':
      return `Temporal: the search attributes ${registration.names.join(', ')} could not be registered (${registration.reason}); everything works without them, and an administrator can add them as Keyword.`;
    case 'skipped':
      return 'Temporal: the search attributes were left out.';
  }
}

async function databaseOf(postgres: Pool): Promise<string> {
  const answer = await postgres.query<{ name: string }>('select current_database() as name');
  return answer.rows[0]?.name ?? '';
}

function withoutBody({ version, name }: { readonly version: number; readonly name: string }) {
  return { version, name };
}
