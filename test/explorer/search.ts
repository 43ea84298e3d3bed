import { PAIRS, SCENARIOS, type Scenario, SINGLE } from './scenarios';
import { Schedule, type Subject } from './schedule';
import type { Choice, Policy } from './scheduler';

/** Where a schedule leaves what a healthy world does: at which step, by which choice. */
export type Deviations = ReadonlyMap<number, number>;

/** A schedule as it was run. */
export interface Run {
  readonly scenario: Scenario;
  readonly deviations: Deviations;
  readonly violations: readonly string[];
  /** What could have been chosen at each step; kept for those schedules that others begin with. */
  readonly offered: readonly (readonly string[])[];
  readonly steps: number;
}

/** `scenario:step=choice,step=choice`: what `--replay` takes. */
export function replayOf({ scenario, deviations }: Pick<Run, 'scenario' | 'deviations'>): string {
  const list = [...deviations].map(([step, choice]) => `${step}=${choice}`).join();
  return `${scenario.name}:${list}`;
}

export function parseReplay(replay: string): Pick<Run, 'scenario' | 'deviations'> {
  const [name, list = ''] = replay.split(':');
  const scenario = SCENARIOS.find((candidate) => candidate.name === name);
  if (scenario === undefined) throw new Error(`there is no scenario ${name}`);
  const deviations = list
    .split(',')
    .filter((part) => part !== '')
    .map((part) => part.split('=').map(Number) as [number, number]);
  return { scenario, deviations: new Map(deviations) };
}

export async function runSchedule(
  subject: Subject,
  scenario: Scenario,
  deviations: Deviations,
  options: { readonly keepsOffers?: boolean; readonly trace?: (line: string) => void } = {},
): Promise<Run> {
  const offered: string[][] = [];
  const policy: Policy = {
    choose: (step, choices) => {
      if (options.keepsOffers === true) offered.push(choices().map(({ name }) => name()));
      return deviations.get(step) ?? 0;
    },
  };
  const schedule = new Schedule(subject, scenario, policy);
  schedule.scheduler.trace = options.trace;
  const { violations, steps } = await schedule.run();
  return { scenario, deviations, violations, offered, steps };
}

/** Every schedule with one deviation more than `from` has, later than all of them. */
async function* extended(
  subject: Subject,
  from: Run,
  options: { readonly keepsOffers: boolean; readonly only?: (choice: string) => boolean },
): AsyncGenerator<Run> {
  const last = Math.max(-1, ...from.deviations.keys());
  for (const [step, choices] of from.offered.entries()) {
    if (step <= last) continue;
    for (const [choice, name] of choices.entries()) {
      if (choice === 0 || options.only?.(name) === false) continue;
      const deviations = new Map([...from.deviations, [step, choice]]);
      yield await runSchedule(subject, from.scenario, deviations, options);
    }
  }
}

/** What leaves an attempt alive that nobody waits for, or is as slow as one. */
const isZombie = (choice: string): boolean =>
  ['delayed past', 'which goes on', 'it is slow'].some((part) => choice.includes(part));

/** Parts of the search that have an end, the smallest first. */
export async function* bounded(subject: Subject): AsyncGenerator<Run> {
  for (const scenario of SCENARIOS) yield* singles(subject, scenario);
  for (const scenario of SINGLE) yield* doubled(subject, scenario);
  for (const scenario of PAIRS) yield* doubled(subject, scenario, isZombie);
}

type Only = (choice: string) => boolean;

/** Two deviations, each of which may be bound to be of some kind. */
async function* doubled(
  subject: Subject,
  scenario: Scenario,
  onlyFirst?: Only,
  onlySecond?: Only,
): AsyncGenerator<Run> {
  const base = await runSchedule(subject, scenario, new Map(), { keepsOffers: true });
  const bound = (only: Only | undefined) => (only === undefined ? {} : { only });
  const options = { keepsOffers: true, ...bound(onlyFirst) };
  for await (const first of extended(subject, base, options)) {
    yield* extended(subject, first, { keepsOffers: false, ...bound(onlySecond) });
  }
}

/** Every schedule of some scenarios with no deviation, then with one, then with two. */
export async function* widening(
  subject: Subject,
  scenarios: readonly Scenario[],
  parts: readonly [first: string, second: string] = ['', ''],
): AsyncGenerator<Run> {
  const [first, second] = parts.map((part) => (choice: string) => choice.includes(part));
  for (const scenario of scenarios) yield* singles(subject, scenario);
  for (const scenario of scenarios) yield* doubled(subject, scenario, first, second);
}

async function* singles(subject: Subject, scenario: Scenario): AsyncGenerator<Run> {
  const base = await runSchedule(subject, scenario, new Map(), { keepsOffers: true });
  yield base;
  yield* extended(subject, base, { keepsOffers: false });
}

/** How likely a step deviates, one of these for each schedule. */
const RATES = [0.02, 0.05, 0.1, 0.2];
const MOST_DEVIATIONS = 12;

/** Without an end: any number of deviations, drawn from the seed. */
export async function* random(subject: Subject, seed: number): AsyncGenerator<Run> {
  const next = seeded(seed);
  const below = (bound: number) => Math.floor(next() * bound);
  for (;;) {
    const scenario = SCENARIOS[below(SCENARIOS.length)] ?? SINGLE[0];
    if (scenario === undefined) return;
    const rate = RATES[below(RATES.length)] ?? 0.1;
    const deviations = new Map<number, number>();
    const choose = (step: number, choices: () => readonly Choice[]): number => {
      if (deviations.size >= MOST_DEVIATIONS || next() >= rate) return 0;
      const { length } = choices();
      if (length < 2) return 0;
      const choice = 1 + below(length - 1);
      deviations.set(step, choice);
      return choice;
    };
    const { violations, steps } = await new Schedule(subject, scenario, { choose }).run();
    yield { scenario, deviations, violations, steps, offered: [] };
  }
}

/** Mulberry32: the same schedules for the same seed. */
function seeded(seed: number): () => number {
  let state = seed + 0x6d2b79f5;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}
