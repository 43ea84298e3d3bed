import { parseArgs } from 'node:util';
import { loadParser } from './postgres/syntax';
import { Subject } from './schedule';
import { bounded, parseReplay, type Run, random, replayOf, runSchedule } from './search';

const USAGE = `npm run explore -- [--schedules N] [--seed S] [--replay SCHEDULE]

Runs the production protocol against a model of both stores, schedule by schedule, and looks whether
every promise holds in each: first those that are counted out, then random ones.

  --schedules N   how many schedules (100000)
  --seed S        the seed of the random ones (1)
  --replay WHAT   runs one schedule, and prints each of its steps`;

/** How much of the schedules the counted ones may take: the random ones are never left out. */
const COUNTED_SHARE = 0.8;
const SHOWN = 5;

type Print = (line: string) => void;

/** Runs the command; gives its exit code. */
export async function main(given: readonly string[], print: Print): Promise<number> {
  const { values } = parseArgs({
    args: [...given],
    options: {
      schedules: { type: 'string', default: '100000' },
      seed: { type: 'string', default: '1' },
      replay: { type: 'string' },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) {
    print(USAGE);
    return 0;
  }
  // Errors are expected here in great numbers, and nobody reads their stacks.
  Error.stackTraceLimit = values.replay === undefined ? 0 : 20;
  await loadParser();
  const subject = new Subject();
  if (values.replay !== undefined) return await replay(subject, values.replay, print);
  const [schedules, seed] = [wholeNumber(values.schedules), wholeNumber(values.seed)];
  if (schedules === undefined || seed === undefined) {
    print(`--schedules and --seed are whole numbers.\n\n${USAGE}`);
    return 2;
  }
  return await explore(subject, schedules, seed, print);
}

async function replay(subject: Subject, what: string, print: Print): Promise<number> {
  const { scenario, deviations } = parseReplay(what);
  const run = await runSchedule(subject, scenario, deviations, { trace: print });
  for (const violation of run.violations) print(`violation: ${violation}`);
  return summarize(1, run.violations.length > 0 ? 1 : 0, print);
}

async function explore(
  subject: Subject,
  schedules: number,
  seed: number,
  print: Print,
): Promise<number> {
  const startedAt = performance.now();
  let violating = 0;
  const take = async (runs: AsyncGenerator<Run>, most: number): Promise<number> => {
    let count = 0;
    if (most <= 0) return count;
    for await (const run of runs) {
      count += 1;
      if (run.violations.length > 0) {
        violating += 1;
        if (violating <= SHOWN) show(run, print);
      }
      if (count >= most) break;
    }
    return count;
  };
  const counted = await take(bounded(subject), Math.ceil(COUNTED_SHARE * schedules));
  const drawn = await take(random(subject, seed), schedules - counted);
  const seconds = ((performance.now() - startedAt) / 1_000).toFixed(1);
  print(`${counted} counted out, ${drawn} drawn with seed ${seed}, in ${seconds} s`);
  return summarize(counted + drawn, violating, print);
}

function show(run: Run, print: Print): void {
  for (const violation of run.violations) print(`violation: ${violation}`);
  print(`to replay it: npm run explore -- --replay '${replayOf(run)}'\n`);
}

function summarize(schedules: number, violations: number, print: Print): number {
  print(`schedules: ${schedules} violations: ${violations}`);
  return violations === 0 ? 0 : 1;
}

function wholeNumber(text: string): number | undefined {
  return /^\d{1,9}$/.test(text) ? Number(text) : undefined;
}
