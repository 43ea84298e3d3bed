import Table from 'cli-table3';
import type { Answer, Entry } from './settle-all';

const TITLES: Readonly<Record<Answer, string>> = {
  applied: 'applied in both stores',
  compensated: 'compensated: undone in both',
  refused: 'refused: nothing written',
  invalid: 'refused by the schema',
};

/** How many updates came to which outcome, and how long that took. */
export function outcomeTable(journal: readonly Entry<unknown>[]): string {
  const table = new Table({
    head: ['outcome', 'updates', 'p50', 'p99'],
    colAligns: ['left', 'right', 'right', 'right'],
    // Plain: colours would be noise in a log.
    style: { head: [], border: [] },
  });
  for (const [answer, title] of Object.entries(TITLES)) {
    const entries = journal.filter((entry) => entry.answer === answer);
    // The schema decides before anything is sent: there is nothing to settle.
    const times = answer === 'invalid' ? ['', ''] : timesOf(entries);
    table.push([title, entries.length, ...times]);
  }
  const settled = journal.filter(({ answer }) => answer !== 'invalid');
  table.push(['all, time to settle', journal.length, ...timesOf(settled)]);
  return table.toString();
}

function timesOf(entries: readonly Entry<unknown>[]): string[] {
  if (entries.length === 0) return ['', ''];
  const sorted = entries.map(({ millis }) => millis).sort((a, b) => a - b);
  return [0.5, 0.99].map((share) => `${percentile(sorted, share).toFixed(0)} ms`);
}

/** The nearest rank. */
function percentile(sorted: readonly number[], share: number): number {
  return sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)] ?? 0;
}
