import type { Finding } from '../../domain/finding';
import type { Reason } from '../../domain/outcome';
import { type Bench, describeDrive, outcomeState } from '../bench';
import { findDifferences } from '../differences';
import { finding, stepFailed } from '../findings';
import type { Cut, MadeCall } from '../store-calls';
import type { TableState } from '../table-state';
import { type Sweep, sweepFaults } from './faults';
import type { Identified } from './identity';
import type { Reference } from './undisturbed';

const REASON: Reason = { code: 'Cancelled', message: 'the check takes it back' };

/**
 * Takes an applied sample back, once when only Postgres has it and once when both stores have it,
 * and compares both stores with what they were before. Then the longer way back, with every fault on it.
 */
export async function checkUndo(
  bench: Bench,
  reference: Reference,
  others: readonly Identified[],
): Promise<Sweep> {
  const points = turningPoints(bench, reference.calls);
  for (const cut of points) {
    const findings = await takeBack(bench, reference, cut);
    if (findings.length > 0) return { findings, faults: 0 };
  }
  const last = points.at(-1);
  if (last === undefined) return { findings: [], faults: 0 };
  for (const other of others) {
    const findings = await takeBackBeside(bench, reference, other, last);
    if (findings.length > 0) return { findings, faults: 0 };
  }
  return await sweepUndo(bench, reference, last);
}

/** After which calls of the way forward it is taken back; after the last most is to be undone. */
function turningPoints({ definition }: Bench, calls: readonly MadeCall[]): Cut[] {
  const postgres = calls.findIndex(({ kind }) => kind === 'commit');
  const mongo = calls.findLastIndex(
    ({ store, kind }) => store === 'MongoDB' && kind !== 'statement',
  );
  // Without an undo in MongoDB there is no way back from there.
  const hasBoth = definition.form === 'projection' || definition.mongo.transaction?.undo;
  const indexes = [postgres, ...(hasBoth ? [mongo] : [])].filter((index) => index !== -1);
  return indexes.map((call) => ({ call, when: 'after', how: 'death' }));
}

async function begin(bench: Bench, { sample }: Reference, cut: Cut): Promise<void> {
  await bench.reset();
  await bench.run(sample, { cut });
}

async function takeBack(bench: Bench, reference: Reference, cut: Cut): Promise<Finding[]> {
  const { sample, before } = reference;
  await begin(bench, reference, cut);
  const { drive } = await bench.run(sample, { back: REASON });
  if (drive.at === 'failed') return [stepFailed(sample.name, drive.step, drive.error)];
  const isUndone = drive.at === 'settled' && drive.outcome.status === 'compensated';
  const sides = { before: 'before the update', after: 'after its undo' };
  const left = findDifferences(before, await bench.state(), sides, bench.ignores);
  const seen = [...(isUndone ? [] : [`taken back, ${describeDrive(drive)}`]), ...left];
  return seen.length === 0 ? [] : [finding('UndoIncomplete', sample.name, seen)];
}

/**
 * Between an apply and its undo other updates run, on other entities. An undo that takes back its
 * own apply and no more ends in the same state whether the other one came before it or after.
 */
async function takeBackBeside(
  bench: Bench,
  reference: Reference,
  { sample: other }: Identified,
  cut: Cut,
): Promise<Finding[]> {
  const { sample, ignores } = reference;
  const undo = () => bench.run(sample, { back: REASON });
  const states: TableState[][] = [];
  for (const steps of [
    [undo, () => bench.run(other)],
    [() => bench.run(other), undo],
  ]) {
    await begin(bench, reference, cut);
    for (const step of steps) {
      const { drive } = await step();
      // Refused, perhaps, since there is enough for one of them only.
      if (drive.at !== 'settled' || drive.outcome.status === 'refused') return [];
    }
    states.push(await bench.state());
  }
  const [after = [], between = []] = states;
  const sides = {
    before: `with ${other.name} applied after the undo`,
    after: `with it applied between apply and undo`,
  };
  const seen = findDifferences(after, between, sides, ignores);
  return seen.length === 0 ? [] : [finding('UndoIncomplete', sample.name, seen)];
}

async function sweepUndo(bench: Bench, reference: Reference, cut: Cut): Promise<Sweep> {
  const { sample, before } = reference;
  await begin(bench, reference, cut);
  const { calls } = await bench.run(sample, { back: REASON });
  return await sweepFaults(bench, {
    sample,
    begin: () => begin(bench, reference, cut),
    drive: { back: REASON },
    calls,
    end: [...before, outcomeState({ status: 'compensated', reason: REASON })],
    ignores: bench.ignores,
  });
}
