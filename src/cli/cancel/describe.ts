import type { CancelReport, Prospect } from './cancel';

/** What was found and done, for people. */
export function describeCancel(report: CancelReport): string {
  const { definition, token, state, prospect, isDryRun, requested, outcome } = report;
  const update = `${definition} ${token}`;
  if (!requested) return `${update} is settled already: ${state}. Nothing was done.`;
  if (isDryRun) {
    return `${update} would be asked to go back: ${PROSPECTS[prospect ?? 'unknown']}. Nothing was done.`;
  }
  if (outcome === null) {
    return `${update} was asked to go back, and is not settled yet: ${PROSPECTS[prospect ?? 'unknown']}. "twinwrite show" says what becomes of it.`;
  }
  if (outcome.status !== 'applied') return `${update} was taken back: ${outcome.status}.`;
  return `${update} could not be taken back: it was settled before, or has no undo. It is applied.`;
}

const PROSPECTS: Readonly<Record<Prospect, string>> = {
  refused: 'nothing is written yet, and nothing will be',
  compensated: 'what it wrote is undone in both stores',
  applied: 'it has no undo, so that it goes on',
  unknown: 'what becomes of it was not foretold, since DATABASE_URL is not set',
};
