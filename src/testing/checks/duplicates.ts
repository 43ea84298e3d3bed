import type { Finding } from '../../domain/finding';
import { type Bench, describeDrive, outcomeState } from '../bench';
import { findDifferences } from '../differences';
import { finding } from '../findings';
import type { Reference } from './undisturbed';

const AT_ONCE = 5;

/**
 * Submits a sample five times at once and once more afterwards, as callers do that lost patience:
 * all of them get the answer of one, and the stores show one effect.
 */
export async function checkDuplicates(bench: Bench, reference: Reference): Promise<Finding[]> {
  const { sample, state, ignores } = reference;
  await bench.reset();
  const submissions = Array.from({ length: AT_ONCE }, () => bench.run(sample, { together: true }));
  const runs = await Promise.all(submissions);
  const late = await bench.run(sample);
  const sides = { before: 'submitted once', after: `submitted ${AT_ONCE + 1} times` };
  const answers = [...runs, late].flatMap(({ drive }, index) =>
    drive.at === 'settled'
      ? findDifferences(
          [outcomeState(reference.outcome)],
          [outcomeState(drive.outcome)],
          { before: 'submitted once', after: `for submission ${index + 1} of ${AT_ONCE + 1}` },
          ignores,
        )
      : [`submission ${index + 1} of ${AT_ONCE + 1}: ${describeDrive(drive)}`],
  );
  const effects = findDifferences(state, await bench.state(reference.outcome), sides, ignores);
  const seen = [...effects, ...answers];
  return seen.length === 0 ? [] : [finding('DuplicateEffect', sample.name, seen)];
}
