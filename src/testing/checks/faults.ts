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
  /** What may differ between two runs on the way there. */
  readonly volatile: Ignores;
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
  await course.begin();
  const standing = { state: await bench.state() };
  const places = placesOf(course.calls, bench.definition.form);
  for (const [index, place] of places.entries()) {
    const findings = await takeFault(bench, course, place, standing);
    if (findings.length > 0) return { findings, faults: index + 1 };
  }
  return { findings: [], faults: places.length };
}

/** What the transactions before have committed: no rolled back one changes it. */
interface Standing {
  state: readonly TableState[];
}

/**
 * Deaths first, in the order of the calls: what stays behind after a rollback shows there as what
 * it is, beside what the deaths before it have shown to stand.
 */
function placesOf(calls: readonly MadeCall[], form: Form): Place[] {
  const all = calls.map((made, call) => ({ made, call }));
  const deaths = all.flatMap(({ made, call }): Place[] => {
    const after: Place = { made, cut: { call, when: 'after', how: 'death' } };
    // A write that stands by itself is a projection's; in a transaction leg nothing should.
    if (made.kind === 'write') return form === 'projection' ? [after] : [];
    if (made.kind === 'statement') return [];
    return [{ made, cut: { call, when: 'before', how: 'death' } }, after];
  });
  const breakages = all.flatMap(({ made, call }): Place[] =>
    made.kind === 'statement' ? [{ made, cut: { call, when: 'after', how: 'breakage' } }] : [],
  );
  return [...deaths, ...breakages];
}

async function takeFault(
  bench: Bench,
  course: Course,
  place: Place,
  standing: Standing,
): Promise<Finding[]> {
  const { sample, drive, begin, volatile } = course;
  await begin();
  const cut = await bench.run(sample, { ...drive, cut: place.cut });
  if (cut.drive.at !== 'dead') return await compareEnds(bench, course, place, cut);
  const state = await bench.state();
  if (place.cut.when === 'before') {
    const sides = { before: 'before the attempt', after: 'after its rollback' };
    const left = findDifferences(standing.state, state, sides, volatile);
    if (left.length > 0) {
      return [finding('OutsideTransaction', sample.name, [`${describe(place)}:`, ...left])];
    }
  } else {
    standing.state = state;
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
