import { outcomeTable } from '../support/outcome-table';
import type { Answer, Entry } from '../support/settle-all';
import type { OrderInput } from './mix';

const SHOWN = 3;

const HEADINGS: Readonly<Record<Exclude<Answer, 'applied'>, string>> = {
  compensated: 'MongoDB refused, so PostgreSQL was compensated',
  refused: 'refused by the definition, before anything was written',
  invalid: 'refused by the schema in the client, so never sent',
};

/** Some updates of each kind that was not applied, with the reason, and the table. */
export function reportOf(journal: readonly Entry<OrderInput>[]): string {
  const parts = Object.entries(HEADINGS).flatMap(([answer, heading]) => {
    const entries = journal.filter((entry) => entry.answer === answer);
    if (entries.length === 0) return [];
    const shown = entries
      .slice(0, SHOWN)
      .map(({ input, reason }) => `  order ${input.orderId}: ${reason}`);
    const more = entries.length > SHOWN ? [`  … and ${entries.length - SHOWN} more`] : [];
    return [`${entries.length} × ${heading}:`, ...shown, ...more];
  });
  return [...parts, outcomeTable(journal)].join('\n');
}
