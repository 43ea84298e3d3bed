import { Command } from 'commander';
import { withConfig, withJson } from '../options';
import type * as Show from '../show/show';

export interface ShowCommandOptions {
  readonly config: string;
  readonly json?: boolean;
}

export function showCommand(): Command {
  const command = new Command('show')
    .summary('show one update')
    .description(
      'Show one update: its state, its outcome with the reason, its legs with their timings and attempts.\n' +
        "It asks Temporal, and both stores' ledgers where DATABASE_URL and MONGODB_URI are set. No worker is needed.",
    )
    .argument('<name>', 'the name of its definition')
    .argument('<token>', 'its token')
    .addHelpText('after', DETAILS);
  withConfig(command);
  return withJson(command).action(
    async (name: string, token: string, options: ShowCommandOptions) => {
      // Loaded when it is needed: help must not wait for Temporal's client.
      const { show } = require('../show/show') as typeof Show;
      await show(name, token, options);
    },
  );
}

const DETAILS = `
An update that Temporal has forgotten is shown from the ledger alone. The config file is read only to tell a
misspelled name.

Environment:
  TEMPORAL_…, temporal.toml  where Temporal is
  DATABASE_URL, MONGODB_URI  to show what the ledgers say (optional)
  TWINWRITE_WEB_UI           for the link

Exit codes: 0 shown, whatever its state; 1 nobody knows the token, or a server does not answer; 2 wrong command line.

Examples:
  $ twinwrite show placeOrder 0198c1f2-7a51-7000-8000-000000000001
  $ twinwrite show placeOrder 0198c1f2-7a51-7000-8000-000000000001 --json | jq .outcome`;
