import { isTwinwriteError } from 'twinwrite';
import { describeStackError, StackError } from 'twinwrite/stack';
import { ExampleFailure } from './example-failure';
import { Interrupted, Lifetime } from './lifetime';
import { type CountOption, type ExampleOptions, readOptions, UsageError } from './options';
import { openSite, type Site } from './site';
import { type Verdict, verdictLine } from './verdict';
import { watchServers } from './watch-servers';

export interface Example {
  /** Names the databases of a run. */
  readonly name: string;
  readonly help: string;
  readonly count: CountOption;
  readonly work: (run: Run) => Promise<Verdict>;
}

/** What an example works with. */
export interface Run {
  readonly options: ExampleOptions;
  readonly site: Site;
  readonly lifetime: Lifetime;
}

const SHOWN_DIVERGENCES = 20;

/**
 * Runs an example on servers of its own and ends with the verdict. The exit code is 0; 1 when the
 * stores diverge or something failed; 2 when the command line is wrong; 130 after Ctrl-C. However
 * it ends, every process that it started has ended, and nothing is left.
 */
export async function runExample(example: Example): Promise<void> {
  const options = readCommandLine(example);
  if (options === undefined) return;
  const lifetime = new Lifetime();
  try {
    const site = await openSite(example.name, lifetime);
    watchServers(site, lifetime);
    const verdict = await lifetime.during(example.work({ options, site, lifetime }));
    await conclude(verdict, site, options, lifetime);
  } catch (error) {
    process.exitCode = explain(lifetime.signal.aborted ? lifetime.reason : error);
    lifetime.end(new ExampleFailure('The run is over.'));
  }
  await lifetime.close();
  // Work that was given up may still wait for something that never comes.
  process.exit();
}

function readCommandLine({ count, help }: Example): ExampleOptions | undefined {
  try {
    const options = readOptions(process.argv.slice(2), count);
    if (!options.help) return options;
    console.log(help);
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    console.error(error.message);
    process.exitCode = 2;
  }
  return undefined;
}

/** The verdict is the last line, also while the run stays up for somebody to look around. */
async function conclude(
  verdict: Verdict,
  { webUrl }: Site,
  { once }: ExampleOptions,
  lifetime: Lifetime,
): Promise<void> {
  for (const line of verdict.divergent.slice(0, SHOWN_DIVERGENCES)) {
    console.log(`divergent: ${line}`);
  }
  const stays = process.stdout.isTTY && !once;
  if (stays) {
    const where = webUrl === undefined ? 'the Temporal Web UI' : webUrl;
    console.log(`Everything stays up to look around in ${where}; Ctrl-C stops it.`);
  }
  console.log(verdictLine(verdict));
  process.exitCode = verdict.divergent.length > 0 ? 1 : 0;
  if (!stays) return;
  await lifetime.untilEnded();
  if (process.exitCode === 0) process.exitCode = explain(lifetime.reason);
}

/** Says in one sentence what ended the run, and gives the exit code. */
function explain(reason: unknown): number {
  if (reason instanceof Interrupted) return reason.exitCode;
  if (reason instanceof StackError) console.error(describeStackError(reason));
  else if (reason instanceof ExampleFailure || isTwinwriteError(reason)) {
    console.error(reason.message);
  } else {
    const problem = reason instanceof Error ? reason.message : String(reason);
    console.error(`The example failed and was stopped: ${problem}.`);
  }
  return 1;
}
