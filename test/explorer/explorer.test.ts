/**
 * Goal: every promise of the protocol holds in every schedule of one fault and in many of two, and
 * the explorer has teeth: a mistake in the production files is found (clauses 1, 3 to 10 and 14).
 * Method: the production code and its SQL on a model of both stores, for which `model-postgres` and
 * `model-mongo` show that it does what the real servers do; each seeded mistake is a patch of the
 * production files as they are read, never of the checkout.
 */
import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals';
import { MISTAKES_IN_MONGO } from './mistakes/in-mongo';
import { MISTAKES_IN_POSTGRES } from './mistakes/in-postgres';
import type { Mistake } from './mistakes/mistake';
import { loadParser } from './postgres/syntax';
import { SCENARIOS } from './scenarios';
import { Subject } from './schedule';
import { bounded, parseReplay, type Run, random, replayOf, runSchedule, widening } from './search';

/** More than the slowest of the mistakes needs. */
const ENOUGH = 2_500;

const traceLimit = Error.stackTraceLimit;

beforeAll(async () => {
  // Errors are expected here in great numbers.
  Error.stackTraceLimit = 0;
  await loadParser();
});

afterAll(() => {
  Error.stackTraceLimit = traceLimit;
});

async function firstViolation(runs: AsyncGenerator<Run>, most: number): Promise<Run | undefined> {
  let count = 0;
  for await (const run of runs) {
    if (run.violations.length > 0) return run;
    count += 1;
    if (count >= most) return undefined;
  }
  return undefined;
}

// Beside other test files it has a part of a processor.
jest.setTimeout(300_000);

const told = (run: Run | undefined) => run && [replayOf(run), ...run.violations];

describe('the production protocol', () => {
  test('keeps every promise in every schedule with one fault, and in some with two', async () => {
    expect(told(await firstViolation(bounded(new Subject()), 3_500))).toBeUndefined();
  });

  test('keeps every promise in random schedules', async () => {
    const seed = Math.floor(Math.random() * 1e9);
    const violation = await firstViolation(random(new Subject(), seed), 1_000);
    expect({ seed, violation: told(violation) }).toEqual({ seed, violation: undefined });
  });

  test('a schedule that is replayed takes the same steps', async () => {
    const subject = new Subject();
    const [drawn] = await take(random(subject, 7), 1);
    if (drawn === undefined) throw new Error('the random schedules have no end');
    const { scenario, deviations } = parseReplay(replayOf(drawn));
    const traces = [];
    for (const _ of [1, 2]) {
      const trace: string[] = [];
      await runSchedule(subject, scenario, deviations, { trace: (line) => trace.push(line) });
      traces.push(trace);
    }
    expect(traces[1]).toEqual(traces[0]);
    expect(traces[0]).toHaveLength(drawn.steps);
  });
});

describe('a seeded mistake is caught', () => {
  const mistakes = [...MISTAKES_IN_POSTGRES, ...MISTAKES_IN_MONGO].map((mistake) => ({
    name: mistake.name,
    mistake,
  }));

  test.each(mistakes)('$name', async ({ mistake }) => {
    const found = await firstViolation(schedulesOf(new Subject(mistake.patches), mistake), ENOUGH);
    if (found === undefined) throw new Error(`not caught in ${ENOUGH} schedules`);
    // The very same schedule is well without the mistake.
    const sound = await runSchedule(new Subject(), found.scenario, found.deviations);
    expect(sound.violations).toEqual([]);
  });

  test('and a patch that no longer fits is a failure of its own', () => {
    const file = 'workflows/protocol.ts';
    expect(() => new Subject([{ file, old: 'not in it', new: '' }])).toThrow(/0 times/);
  });
});

function schedulesOf(subject: Subject, { scenarios, deviations }: Mistake): AsyncGenerator<Run> {
  const wanted = SCENARIOS.filter(({ name }) => scenarios.includes(name));
  return widening(subject, wanted, deviations);
}

async function take<Item>(items: AsyncGenerator<Item>, most: number): Promise<Item[]> {
  const taken: Item[] = [];
  for await (const item of items) {
    taken.push(item);
    if (taken.length >= most) break;
  }
  return taken;
}
