import type { Finding } from '../../domain/finding';
import type { Json } from '../../domain/json';
import type { Outcome } from '../../domain/outcome';
import { type Bench, describeDrive, type Run } from '../bench';
import { findDifferences, findVolatile, type Ignores } from '../differences';
import { finding, stepFailed } from '../findings';
import type { Sample } from '../samples';
import type { MadeCall } from '../store-calls';
import type { TableState } from '../table-state';

/** How a sample ends when nothing disturbs it: what every other run is compared with. */
export interface Reference {
  readonly sample: Sample;
  readonly outcome: Outcome<Json>;
  /** The stores after it, and its outcome. */
  readonly state: readonly TableState[];
  /** What differs from run to run by itself, and what the options ignore. */
  readonly ignores: Ignores;
  readonly calls: readonly MadeCall[];
  /** The stores before it. */
  readonly before: readonly TableState[];
}

/** Runs a sample twice, each time from the beginning, and looks at how it ends. */
export async function runUndisturbed(
  bench: Bench,
  sample: Sample,
): Promise<{ readonly reference?: Reference; readonly findings: readonly Finding[] }> {
  await bench.reset();
  const before = await bench.state();
  const first = await bench.run(sample);
  const findings = judge(sample, first);
  if (first.drive.at !== 'settled' || findings.length > 0) return { findings };
  const { outcome } = first.drive;
  const state = await bench.state(outcome);
  if (outcome.status !== 'applied') {
    const traces = findTraces(bench, sample, outcome, before, await bench.state());
    if (traces.length > 0) return { findings: traces };
  }
  await bench.reset();
  const second = await bench.run(sample);
  if (second.drive.at !== 'settled') return { findings: judge(sample, second) };
  const again = await bench.state(second.drive.outcome);
  const ignores = findVolatile(state, again, bench.ignores);
  const sides = { before: 'after one run', after: 'after another from the same beginning' };
  const strange = findDifferences(state, again, sides, ignores);
  if (strange.length > 0) return { findings: [finding('UnsafeRetry', sample.name, strange)] };
  const reference = { sample, outcome, state, ignores, calls: first.calls, before };
  return { reference, findings: [] };
}

function judge({ name, expected }: Sample, { drive }: Run): Finding[] {
  if (drive.at === 'failed') return [stepFailed(name, drive.step, drive.error)];
  const isApplied = drive.at === 'settled' && drive.outcome.status === 'applied';
  if (isApplied === (expected === 'applied')) return [];
  const code = expected === 'applied' ? 'NotApplied' : 'NotRefused';
  return [finding(code, name, [describeDrive(drive)])];
}

function findTraces(
  bench: Bench,
  { name }: Sample,
  { status }: Outcome<Json>,
  before: readonly TableState[],
  after: readonly TableState[],
): Finding[] {
  const isUndone = status === 'compensated';
  const sides = {
    before: 'before the update',
    after: isUndone ? 'after its undo' : 'after its refusal',
  };
  const traces = findDifferences(before, after, sides, bench.ignores);
  if (traces.length === 0) return [];
  return [finding(isUndone ? 'UndoIncomplete' : 'RefusalLeftTraces', name, traces)];
}
