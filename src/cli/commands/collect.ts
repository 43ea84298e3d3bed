import { Command, InvalidArgumentError } from 'commander';
import type * as Collect from '../collect/run-collector';
import { wholeNumber, withJson } from '../options';

export interface CollectCommandOptions {
  readonly olderThan?: Age;
  readonly limit?: number;
  readonly dryRun?: boolean;
  readonly json?: boolean;
}

/** How long ago, as it was typed and in milliseconds. */
export interface Age {
  readonly text: string;
  readonly millis: number;
}

export function collectCommand(): Command {
  const command = new Command('collect')
    .summary('delete what the ledgers know of old, settled updates')
    .description(
      'Delete what both ledgers know of settled updates that are older than an age and that Temporal has forgotten.\n' +
        'The data of the updates stays. A token that was collected is free: submitted again, it is a new update and is\n' +
        'applied again. So the age is how long a caller may still come back with a token; a year is a good one.',
    )
    .option('--older-than <age>', 'days or hours since it was settled: 400d, 72h (required)', age)
    .option('--limit <count>', 'delete so many at most', wholeNumber(1, Number.MAX_SAFE_INTEGER))
    .option('--dry-run', 'count what would be deleted, and change nothing')
    .addHelpText('after', DETAILS);
  return withJson(command).action(async (options: CollectCommandOptions) => {
    // Loaded when it is needed: help must not wait for the drivers.
    const { runCollector } = require('../collect/run-collector') as typeof Collect;
    await runCollector(options);
  });
}

const HOUR_MILLIS = 3_600_000;

function age(text: string): Age {
  const [, digits, unit] = /^(\d{1,6})([dh])$/.exec(text) ?? [];
  const count = Number(digits);
  if (unit === undefined || count === 0) {
    throw new InvalidArgumentError('It is a whole number of days or hours, such as 400d or 72h.');
  }
  return { text, millis: count * (unit === 'd' ? 24 : 1) * HOUR_MILLIS };
}

const DETAILS = `
It may run at any time: beside the workers, in several places at once, and be killed at any moment. What it has not
come to is left to the next run. Ctrl-C lets it finish the batch that is under way.

Old entries that are kept
  not settled       forward, undoing, waiting for their turn, or parked
  known to Temporal their workflow is open, or closed and still retained: it could run again
  young in MongoDB  MongoDB's half was written later than the age
Those that somebody has locked at this moment are told as busy; the next run looks at them again.

The age is at least the retention of the namespace and a day. The namespace must be that of the workers: another one
knows none of the updates.

Environment:
  DATABASE_URL, MONGODB_URI  the stores
  TEMPORAL_…, temporal.toml  the Temporal of the workers, with TEMPORAL_NAMESPACE

Exit codes: 0 it came to the end or to the limit, 1 failed, 2 wrong command line or too low an age, 130 interrupted.

Examples:
  $ twinwrite collect --older-than 400d --dry-run
  $ twinwrite collect --older-than 400d
  $ twinwrite collect --older-than 400d --limit 100000 --json | jq .collected`;
