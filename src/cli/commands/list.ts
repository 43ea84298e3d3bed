import { Command, InvalidArgumentError, Option } from 'commander';
import type { ListedState } from '../../activities/ledger-list';
import type * as List from '../list/list';
import { wholeNumber, withJson } from '../options';

export interface ListCommandOptions {
  readonly state: readonly (ListedState | 'unsettled' | 'any')[];
  readonly definition?: string;
  readonly olderThan: number;
  readonly limit: number;
  readonly json?: boolean;
}

const STATES = [
  'unsettled',
  'queued',
  'granted',
  'forward',
  'undoing',
  'parked',
  'applied',
  'compensated',
  'refused',
  'any',
] as const;

export function listCommand(): Command {
  const command = new Command('list')
    .summary('list updates by their state')
    .description(
      "List the updates that PostgreSQL's ledger knows, the oldest first: those that are not settled, unless asked otherwise.\n" +
        'Neither Temporal nor a worker is needed.',
    )
    .addOption(
      new Option('-s, --state <state...>', 'one or several states')
        .choices(STATES)
        .default(['unsettled']),
    )
    .option('-d, --definition <name>', 'of one definition only')
    .option(
      '--older-than <age>',
      'only what is older: a number with s, m, h or d, such as 10m',
      readAge,
      0,
    )
    .option('-n, --limit <count>', 'at most so many', wholeNumber(1, 10_000), 50)
    .addHelpText('after', DETAILS);
  return withJson(command).action(async (options: ListCommandOptions) => {
    // Loaded when it is needed: help must not wait for the drivers.
    const { list } = require('../list/list') as typeof List;
    await list(options);
  });
}

const UNIT_MILLIS: Readonly<Record<string, number>> = {
  s: 1_000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
};

function readAge(text: string): number {
  const [, count, unit = ''] = /^(\d{1,6})([smhd])$/.exec(text) ?? [];
  const unitMillis = UNIT_MILLIS[unit];
  if (count !== undefined && unitMillis !== undefined) return Number(count) * unitMillis;
  throw new InvalidArgumentError('It is a whole number with s, m, h or d, such as 10m.');
}

const DETAILS = `
States: queued waits for an update that holds one of its entities, granted has its turn, forward is on its way, undoing
is being taken back, parked needs somebody; unsettled is all of these. applied, compensated and refused are settled.
"overdue" means that its driver meant to be done by now: a workflow that was terminated, or a store that is down.
To list settled updates reads the whole ledger.

Environment:
  DATABASE_URL

Exit codes: 0 listed, none found included; 1 PostgreSQL does not answer or was never migrated; 2 wrong command line.

Examples:
  $ twinwrite list
  $ twinwrite list --state parked --json | jq -r '.updates[].token'
  $ twinwrite list --state refused compensated --definition placeOrder --older-than 1d`;
