import { Command } from 'commander';
import type * as Cancel from '../cancel/cancel';
import { type InterventionOptions, withConfig, withIntervention, withJson } from '../options';

export interface CancelCommandOptions extends InterventionOptions {
  readonly config: string;
  readonly json?: boolean;
}

export function cancelCommand(): Command {
  const command = new Command('cancel')
    .summary('ask for an update to be taken back')
    .description(
      'Ask for an update to be taken back: refused where nothing was written yet, compensated where it can be undone.\n' +
        'It is a request: one that is settled stays so, and one without an undo goes on. Safe at any time, and again.',
    )
    .argument('<name>', 'the name of its definition')
    .argument('<token>', 'its token')
    .addHelpText('after', DETAILS);
  withConfig(command);
  withIntervention(command);
  return withJson(command).action(
    async (name: string, token: string, options: CancelCommandOptions) => {
      // Loaded when it is needed: help must not wait for Temporal's client.
      const { cancel } = require('../cancel/cancel') as typeof Cancel;
      await cancel(name, token, options);
    },
  );
}

const DETAILS = `
It waits some seconds for the outcome and tells it; otherwise the update goes on, and "twinwrite show" tells. An update
whose workflow was terminated cannot be cancelled: it is brought to its outcome by itself, or by submitting it again.

Environment:
  TEMPORAL_…, temporal.toml  where Temporal is
  DATABASE_URL               to foretell what becomes of it, and to record the reason (optional)

Exit codes: 0 it was asked for, or there was nothing to take back; 1 nobody knows the token, its workflow ended without
an outcome, or a server does not answer; 2 wrong command line.

Examples:
  $ twinwrite cancel placeOrder 0198c1f2-7a51-7000-8000-000000000001 --dry-run
  $ twinwrite cancel placeOrder 0198c1f2-7a51-7000-8000-000000000001 --reason 'ordered twice, ticket 4711'`;
