import { Command } from 'commander';
import { type InterventionOptions, withConfig, withIntervention, withJson } from '../options';
import type * as Retry from '../retry/retry';

export interface RetryCommandOptions extends InterventionOptions {
  readonly config: string;
  readonly json?: boolean;
}

export function retryCommand(): Command {
  const command = new Command('retry')
    .summary('make a parked update try again now')
    .description(
      'Make a parked update try again now, once what parked it is mended.\n' +
        'It would by itself, after half a minute at first and after ten at most. Safe at any time, and again.',
    )
    .argument('<name>', 'the name of its definition')
    .argument('<token>', 'its token')
    .addHelpText('after', DETAILS);
  withConfig(command);
  withIntervention(command);
  return withJson(command).action(
    async (name: string, token: string, options: RetryCommandOptions) => {
      // Loaded when it is needed: help must not wait for Temporal's client.
      const { retry } = require('../retry/retry') as typeof Retry;
      await retry(name, token, options);
    },
  );
}

const DETAILS = `
An update that is not parked is left alone: the command says that it runs, that it waits for its turn, or what its
outcome is. It does not wait for what becomes of the update: "twinwrite show" tells. Where no worker answers, the
update is told all the same, and tries again once one does. The config file is read only to tell a misspelled name.

Environment:
  TEMPORAL_…, temporal.toml  where Temporal is
  DATABASE_URL               to ask the ledger as well, and to record the reason (optional)

Exit codes: 0 it tries again, or there was nothing to retry; 1 nobody knows the token, its workflow ended without an
outcome, or a server does not answer; 2 wrong command line.

Examples:
  $ twinwrite retry placeOrder 0198c1f2-7a51-7000-8000-000000000001 --reason 'validator mended, ticket 4712'
  $ twinwrite retry placeOrder 0198c1f2-7a51-7000-8000-000000000001 --json | jq .parked.reason`;
