import { Command } from 'commander';
import type * as Migrate from '../migrate/migrate';
import { withJson } from '../options';

export interface MigrateCommandOptions {
  readonly print?: boolean;
  readonly searchAttributes: boolean;
  readonly json?: boolean;
}

export function migrateCommand(): Command {
  const command = new Command('migrate')
    .summary('prepare both databases and Temporal')
    .description(
      "Prepare both databases and Temporal: Twinwrite's own schema, its own collections, its search attributes.\n" +
        'It touches nothing else, and may run any number of times, in several places at once.',
    )
    .option('--print', 'print exactly what would be done, and change nothing')
    .option(
      '--no-search-attributes',
      'leave out the search attributes, and with them the connection to Temporal',
    )
    .addHelpText('after', DETAILS);
  return withJson(command).action(async (options: MigrateCommandOptions) => {
    // Loaded when it is needed: help must not wait for the drivers.
    const { migrate } = require('../migrate/migrate') as typeof Migrate;
    await migrate(options);
  });
}

const DETAILS = `
PostgreSQL  the schema "twinwrite" in the database of DATABASE_URL
MongoDB     the collections twinwrite_… in the database of MONGODB_URI
Temporal    the search attributes TwinwriteDefinition and TwinwriteOutcome in the namespace of TEMPORAL_NAMESPACE.
            They are for finding updates in the Web UI: without the right to register them everything else works.

Environment:
  DATABASE_URL, MONGODB_URI, TEMPORAL_…, temporal.toml

Exit codes: 0 everything is there (search attributes that may not be registered are told, and no failure), 1 failed.

Examples:
  $ twinwrite migrate
  $ twinwrite migrate --print > plan.sql      # what is not SQL in it is comments: psql -f runs it
  $ twinwrite migrate --no-search-attributes --json`;
