import { Command } from 'commander';
import { withConfig, withJson } from '../options';
import type * as Prove from '../prove/prove';

export interface ProveCommandOptions {
  readonly config: string;
  readonly input?: string;
  readonly json?: boolean;
}

export function proveCommand(): Command {
  const command = new Command('prove')
    .summary('compare what both stores and Temporal have of one update')
    .description(
      "Compare what both stores and Temporal have of one update: both ledgers, its documents, its workflow's history.\n" +
        'One verdict, with the evidence. It changes nothing, and needs no worker.',
    )
    .argument('<name>', 'the name of its definition')
    .argument('<token>', 'its token')
    .option(
      '--input <file>',
      'a file with its input as JSON, to find its documents when Temporal has forgotten it',
    )
    .addHelpText('after', DETAILS);
  withConfig(command);
  return withJson(command).action(
    async (name: string, token: string, options: ProveCommandOptions) => {
      // Loaded when it is needed: help must not wait for Temporal's client.
      const { prove } = require('../prove/prove') as typeof Prove;
      await prove(name, token, options);
    },
  );
}

const DETAILS = `
Verdicts:
  proven         it has one outcome, and both stores show it
  in flight      it is not settled yet
  not disproven  nothing contradicts, and not everything could be compared; it says what, and what to do
  divergent      the stores do not agree; each finding is one of
                 lost, orphan, stale, ghost, stuck, Mongo ahead, contradiction
  unknown        nobody knows the token

The documents of a projection are compared as they are now: a later update may have written them since.

Environment:
  DATABASE_URL, MONGODB_URI
  TEMPORAL_…, temporal.toml  where Temporal is; without an answer the stores are compared alone

Exit codes: 0 proven, in flight or not disproven; 1 divergent or unknown, or a store does not answer; 2 wrong command
line or config file.

Examples:
  $ twinwrite prove placeOrder 0198c1f2-7a51-7000-8000-000000000001
  $ twinwrite prove placeOrder 0198c1f2-7a51-7000-8000-000000000001 --input order.json --json | jq .verdict`;
