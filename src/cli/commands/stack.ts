import { Command } from 'commander';
import { withJson } from '../options';
import { type OutputOptions } from '../output';
import type * as ManageStack from '../stack/manage-stack';

export function stackCommand(): Command {
  const stack = new Command('stack')
    .summary('start, stop and look at local servers for development')
    .description(
      'Start, stop and look at local servers for development: PostgreSQL, a MongoDB replica set, Temporal with its Web UI.',
    )
    .addHelpText('after', DETAILS);
  for (const [name, description] of Object.entries(ACTIONS)) {
    const command = new Command(name).description(description);
    withJson(command).action(async (options: OutputOptions) => {
      // Loaded when it is needed: help must not wait for the drivers.
      const actions = require('../stack/manage-stack') as typeof ManageStack;
      await actions[name as keyof typeof ACTIONS](options);
    });
    stack.addCommand(command);
  }
  return stack;
}

const ACTIONS = {
  up: 'Start the servers in the background, or find them running, and print the lines that name them.\nThe first time it fetches what is missing, which takes minutes.',
  down: 'Stop the servers and remove their data.',
  status:
    'Say of each server whether it answers. Exit code 1 when nothing is up or one does not answer.',
} as const;

const DETAILS = `
Environment:
  TWINWRITE_STACK_POSTGRES_URL, TWINWRITE_STACK_MONGODB_URI, TWINWRITE_STACK_TEMPORAL_ADDRESS
                        servers of your own, which are used and never stopped
  DATABASE_URL, MONGODB_URI and TEMPORAL_… are not read: they may name production.

Exit codes: 0 done, 1 failed.

Examples:
  $ twinwrite stack up
  $ eval "$(twinwrite stack up)"      # and set the variables in this shell
  $ twinwrite stack status --json
  $ twinwrite stack down`;
