import { Command } from 'commander';
import { wholeNumber, withConfig, withJson, withTaskQueue } from '../options';
import type * as Submit from '../submit/submit';

export interface SubmitCommandOptions {
  readonly file?: string;
  readonly config: string;
  readonly concurrency: number;
  readonly taskQueue?: string;
  readonly timeoutMillis?: number;
  readonly json?: boolean;
}

export function submitCommand(): Command {
  const command = new Command('submit')
    .summary('submit one update for each line of a file')
    .description(
      'Submit one update for each line of a file, and wait for their outcomes.\n' +
        'Running it again is safe at any time: a line whose token is known answers the recorded outcome.',
    )
    .argument('<name>', 'the name of a definition of the config file')
    .option('-f, --file <file>', 'one JSON input a line; - reads standard input (required)')
    .option(
      '-n, --concurrency <count>',
      'how many updates are under way at once',
      wholeNumber(1, 10_000),
      50,
    )
    .option(
      '--timeout-millis <millis>',
      'how long to wait for one outcome before the line counts as failed; its update goes on (default: no limit)',
      wholeNumber(1, 2_147_483_647),
    )
    .addHelpText('after', DETAILS);
  withTaskQueue(withConfig(command));
  return withJson(command, 'print one JSON document a line and a last one with the summary').action(
    async (name: string, options: SubmitCommandOptions) => {
      // Loaded when it is needed: help must not wait for Temporal's client.
      const { submit } = require('../submit/submit') as typeof Submit;
      await submit(name, options);
    },
  );
}

const DETAILS = `
Each line ends as one of
  applied      both stores have it
  compensated  it was applied and undone; nothing of it is left
  refused      nothing was ever written
  invalid      the line cannot be submitted: no JSON, not what the definition lets in, or a token used for another input
  failed       there is no outcome yet, or Temporal did not answer; run the command again

Environment:
  TEMPORAL_…, temporal.toml  where Temporal is; the stores are not needed
  TWINWRITE_TASK_QUEUE, TWINWRITE_WEB_UI

Exit codes: 0 every line has an outcome (applied, compensated or refused), 1 a line is invalid or failed, 2 wrong command line or config file.

Examples:
  $ twinwrite submit placeOrder --file orders.jsonl
  $ gzip -dc orders.jsonl.gz | twinwrite submit placeOrder --file - --concurrency 200
  $ twinwrite submit placeOrder --file orders.jsonl --json | grep '"refused"'`;
