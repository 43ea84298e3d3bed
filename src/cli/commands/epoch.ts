import { Command, InvalidArgumentError } from 'commander';
import type * as Epoch from '../epoch/epoch';
import { withConfig, withJson } from '../options';

export interface ShowEpochOptions {
  readonly json?: boolean;
}

export interface RaiseEpochOptions extends ShowEpochOptions {
  readonly config: string;
  readonly dryRun?: boolean;
  readonly reason?: string;
  readonly pair?: boolean;
  readonly temporal: boolean;
  readonly taskQueue?: readonly string[];
  readonly since?: Date;
}

export function epochCommand(): Command {
  const epoch = new Command('epoch')
    .summary('after a restore: look at both stores, and bring them together again')
    .description(
      'A store that went back in time, by a restore or by a promotion that lost commits, stops both: nothing of\n' +
        'Twinwrite is written until the epoch is raised.',
    );
  const show = new Command('show').description(
    'Show what each store remembers of the other, and whether they are stopped. Exit code 1 when they are.',
  );
  withJson(show).action(async (options: ShowEpochOptions) => {
    await load().showEpoch(options);
  });
  const raise = new Command('raise')
    .description(
      'Raise the epoch, repair what was lost, and open the stores. It may be interrupted: the stores stay stopped,\n' +
        'and running it again goes on.',
    )
    .option('--dry-run', 'tell what would be done, and change nothing')
    .option('--reason <text>', 'why, to be recorded with the epoch', 'raised by hand')
    .option('--pair', 'take this MongoDB database in the place of the one that was lost')
    .option('--no-temporal', 'leave out what only Temporal knows: name those updates instead')
    .option(
      '-q, --task-queue <names...>',
      'all queues of the workers of these stores (default: TWINWRITE_TASK_QUEUE, then the config file, then twinwrite)',
    )
    .option(
      '--since <time>',
      "from when on PostgreSQL may have lost what Temporal saw end (default: the store's last tick)",
      readTime,
    )
    .addHelpText('after', DETAILS);
  withConfig(raise);
  withJson(raise, 'print one JSON document a line and a last one with the summary').action(
    async (options: RaiseEpochOptions) => {
      await load().raise(options);
    },
  );
  return epoch.addCommand(show).addCommand(raise);
}

function readTime(text: string): Date {
  const time = new Date(text);
  if (!Number.isNaN(time.getTime())) return time;
  throw new InvalidArgumentError('It is a time such as 2026-01-31T12:00:00Z.');
}

/** Loaded when it is needed: help must not wait for the drivers. */
function load(): typeof Epoch {
  return require('../epoch/epoch') as typeof Epoch;
}

const DETAILS = `
What is repaired, whichever store it was
  documents  PostgreSQL is the truth. One that is ahead of it gets PostgreSQL's image under a new version, or becomes a
             tombstone where PostgreSQL has no such row; one that is behind is projected again. Only the projections of
             the config file: list all of them.
  updates    One that was applied and that PostgreSQL has lost is started again with the input that Temporal has of
             it. One in the transaction form that MongoDB has lost is driven again with the input in the ledger.
  the rest   is named, with the reason. Nothing is passed over in silence.

Raise it also after a promotion that may have lost its last second: that is too little to be noticed by itself, and
--since says when it was.

Environment:
  DATABASE_URL, MONGODB_URI; TEMPORAL_…, temporal.toml unless --no-temporal

Exit codes: 0 done, 1 something needs somebody, or a server does not answer, 2 wrong command line or config file.

Examples:
  $ twinwrite epoch show
  $ twinwrite epoch raise --dry-run
  $ twinwrite epoch raise --reason "restored the backup of 12:00"`;
