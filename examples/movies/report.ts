import type { Entry } from '../support/settle-all';
import type { Submitted } from '../support/verdict';
import { type MovieRecord, movieRecord } from './record';

/**
 * What the verdict is to look for. A record without an id of its own, refused by the schema or by
 * the token of an earlier one, must have written nothing under its number.
 */
export function submittedOf(journal: readonly Entry<MovieRecord>[]): Submitted[] {
  const taken = new Set<string>();
  return journal.map(({ input, answer }, index) => {
    const id = movieRecord.safeParse(input).data?.id;
    const isOwn = id !== undefined && !taken.has(id);
    if (isOwn) taken.add(id);
    return { id: isOwn ? id : `record ${index}`, applied: isOwn && answer === 'applied' };
  });
}

/** Every record that was not imported, with the field and the reason. */
export function describeRefusals(journal: readonly Entry<MovieRecord>[]): string {
  const refused = journal
    .map(({ input, answer, reason }, index) => ({ input, answer, reason, index }))
    .filter(({ answer }) => answer !== 'applied');
  const lines = refused.map(
    ({ input, reason, index }) => `  record ${index}, ${JSON.stringify(input.Title)}: ${reason}`,
  );
  return [
    `${refused.length} records were refused, and nothing of them was written:`,
    ...lines,
  ].join('\n');
}
