import type { Form } from '../../domain/definition';
import type { Finding } from '../../domain/finding';
import type { Bench, Run, RunOptions } from '../bench';
import { describeDrive } from '../bench';
import { findDifferences, type Ignores } from '../differences';
import { finding, nameOfStep } from '../findings';
import type { Sample } from '../samples';
import type { Cut, MadeCall } from '../store-calls';
import type { TableState } from '../table-state';

/** A way of an update, whose every store call is to be cut. */
export interface Course {
  readonly sample: Sample;
  /** Brings the stores to where it begins. */
  readonly begin: () => Promise<void>;
  readonly drive: Pick<RunOptions, 'back'>;
  /** The calls that it makes when nothing disturbs it. */
  readonly calls: readonly MadeCall[];
  /** Where it ends when nothing disturbs it. */
  readonly end: readonly TableState[];
  /** What may differ from that end. */
  readonly ignores: Ignores;
}

interface Place {
  readonly made: MadeCall;
  readonly cut: Cut;
}

/** What a sweep found, and how many faults it took. */
export interface Sweep {
  readonly findings: readonly Finding[];
  readonly faults: number;
}

/**
 * Runs the update again and again, and cuts each run at another store call: a driver dies before a
 * commit, dies after one and so never learns of it, or its connection breaks in a transaction. Then
 * the next driver goes on from the input, and has to end where an undisturbed one ends.
 *
 * In between it looks for what a rollback did not take back. It ends with the first thing found:
 * what follows would mostly be its consequences.
 */
export async function sweepFaults(bench: Bench, course: Course): Promise<Sweep> {
  const places = placesOf(course.calls, bench.definition.form);
  for (const [index, place] of places.entries()) {
    const findings = await takeFault(bench, course, place);
    if (findings.length > 0) return { findings, faults: index + 1 };
  }
  return { findings: [], faults: places.length };
}

/** Deaths first: what stays behind after a rollback shows there as what it is. */
function placesOf(calls: readonly MadeCall[], form: Form): Place[] {
  const all = calls.map((made, call) => ({ made, call }));
  const deaths = all.flatMap(({ made, call }): Place[] => {
    const after: Place = { made, cut: { call, when: 'after', how: 'death' } };
    if (!stands(made, form)) return [];
    if (made.kind === 'write') return [after];
    return [{ made, cut: { call, when: 'before', how: 'death' } }, after];
  });
  const breakages = all.flatMap(({ made, call }): Place[] =>
    made.kind === 'statement' ? [{ made, cut: { call, when: 'after', how: 'breakage' } }] : [],
  );
  return [...deaths, ...breakages];
}

/**
 * Whether a call leaves what a driver may count on. A write that stands by itself is a projection's:
 * in a transaction leg nothing should.
 */
function stands({ kind, hasPassed }: MadeCall, form: Form): boolean {
  return hasPassed && (kind === 'commit' || (kind === 'write' && form === 'projection'));
}

async function takeFault(bench: Bench, course: Course, place: Place): Promise<Finding[]> {
  const { sample, drive, begin, calls } = course;
  await begin();
  // What the transactions before have committed, looked at in this very run.
  let before: readonly TableState[] = [];
  const look = async () => {
    before = await bench.state();
  };
  const call = calls.findLastIndex(
    (made, index) => index < place.cut.call && stands(made, bench.definition.form),
  );
  const isRolledBack = place.cut.when === 'before';
  if (isRolledBack && call === -1) await look();
  const watch = isRolledBack ? { watch: { call, look } } : {};
  const cut = await bench.run(sample, { ...drive, cut: { ...place.cut, ...watch } });
  if (cut.drive.at !== 'dead') return await compareEnds(bench, course, place, cut);
  if (isRolledBack) {
    const sides = { before: 'before the attempt', after: 'after its rollback' };
    const left = findDifferences(before, await bench.state(), sides, bench.ignores);
    if (left.length > 0) {
      return [finding('OutsideTransaction', sample.name, [`${describe(place)}:`, ...left])];
    }
  }
  return await compareEnds(bench, course, place, await bench.run(sample, drive));
}

async function compareEnds(
  bench: Bench,
  course: Course,
  place: Place,
  { drive }: Run,
): Promise<Finding[]> {
  const { sample, end, ignores } = course;
  const failed = drive.at === 'settled' ? [] : [`afterwards ${describeDrive(drive)}`];
  const outcome = drive.at === 'settled' ? drive.outcome : undefined;
  const sides = { before: 'without the fault', after: 'with it' };
  const state = await bench.state(outcome);
  const seen = [...failed, ...findDifferences(end, state, sides, ignores)];
  if (seen.length === 0) return [];
  return [finding('UnsafeRetry', sample.name, [`${describe(place)}:`, ...seen])];
}

function describe({ made, cut }: Place): string {
  const { store, kind, label, step } = made;
  const what = kind === 'commit' ? 'its commit' : `"${label}"`;
  const where = `${what} in ${store} (${nameOfStep(step)})`;
  return cut.how === 'breakage'
    ? `the connection broke after ${where}`
    : `the worker died ${cut.when} ${where}`;
}
