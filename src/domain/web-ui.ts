import type { AnyCrossStoreUpdate, Form } from './definition';
import type { OutcomeStatus } from './outcome';
import { meaningOf, type Progress, titleOf } from './progress';
import { retryCommandOf } from './retry-command';

/**
 * What the Temporal Web UI shows of an update. It renders Markdown, so whatever comes from a caller
 * is shown as code and cannot format or link.
 */

const MAX_SUMMARY_BYTES = 200;
const MAX_CODE_BYTES = 300;
const MAX_LISTED = 20;

/**
 * One line, in the event history and as the first thing of the metadata. To be read, not copied:
 * what Markdown would format or link is taken apart.
 */
export function summaryOf(definition: string, token: string): string {
  const plain = `${definition} ${token}`
    .replaceAll(/[`*[\]<>|\\~]/g, ' ')
    // Inside a word it formats nothing, and tokens are full of it.
    .replaceAll(/(?<![\p{L}\p{N}])_|_(?![\p{L}\p{N}])/gu, ' ')
    .replaceAll('://', ':// ')
    .replaceAll(/www\./gi, '$& ');
  return truncate(plain, MAX_SUMMARY_BYTES);
}

const FORMS: { readonly [Name in Form]: string } = {
  projection: 'MongoDB documents that are a function of PostgreSQL',
  transaction: 'a MongoDB transaction of its own',
};

/** The Web UI cuts off the last line of what it renders. */
const LAST_LINE = ['', '\u00A0'];

/** What it is; it does not change. */
export function detailsOf(
  definition: AnyCrossStoreUpdate,
  token: string,
  entities: readonly string[],
): string {
  return [
    `**Cross-store update** ${code(definition.name)}: a PostgreSQL transaction, then ${FORMS[definition.form]}.`,
    '',
    `- **Token** ${code(token)}`,
    `- **Entities** ${listOf(entities)}`,
    `- **If MongoDB refuses** ${definition.undoable ? 'PostgreSQL is undone' : 'it is parked: there is no undo'}`,
    ...LAST_LINE,
  ].join('\n');
}

const HEADINGS: { readonly [Status in OutcomeStatus]: string } = {
  applied: '**Outcome: applied.** Both stores have it.',
  compensated: '**Outcome: compensated.** It was undone in both stores.',
  refused: '**Outcome: refused.** Nothing was written in either store.',
};

/** Where it stands; it changes with every step, and ends with the outcome. */
export function currentDetailsOf(progress: Progress): string {
  const { outcome, entities, definition, token, done, leg } = progress;
  const steps = done.map(
    (step, index) =>
      `1. ${titleOf(step.leg, done.slice(0, index))}: **${meaningOf(step, progress)}**`,
  );
  if (outcome === undefined) {
    steps.push(
      `1. ${titleOf(leg, done)}: *${progress.parked === undefined ? 'running' : 'parked'}*`,
    );
  }
  const reason =
    outcome === undefined || outcome.status === 'applied'
      ? []
      : ['', `**Reason** ${outcome.reason.code}: ${code(outcome.reason.message)}`];
  const what = `${code(definition)} ${code(token)}, entities ${listOf(entities)}`;
  return [headingOf(progress), ...reason, '', what, '', ...steps, ...LAST_LINE].join('\n');
}

function headingOf({ definition, token, outcome, parked, leg, done }: Progress): string {
  if (outcome !== undefined) return HEADINGS[outcome.status];
  const title = titleOf(leg, done);
  if (parked === undefined) {
    return `**Running: ${title}.** Attempts and the last failure stand under Pending Activities.`;
  }
  const command = code(retryCommandOf(definition, token));
  return `**Parked: ${title} needs somebody.** ${code(parked)} It is tried again every few minutes; once the cause is mended, ${command} does so at once.`;
}

function listOf(entities: readonly string[]): string {
  if (entities.length === 0) return 'none';
  const shown = entities.slice(0, MAX_LISTED).map(code).join(', ');
  const hidden = entities.length - MAX_LISTED;
  return hidden > 0 ? `${shown} and ${hidden} more` : shown;
}

/**
 * As it is, between more backticks than it has in a row: nothing inside is formatted, linked, or
 * taken for HTML.
 */
function code(text: string): string {
  const line = truncate(text.replaceAll(/[\r\n]/g, ' '), MAX_CODE_BYTES);
  const longest = Math.max(0, ...[...line.matchAll(/`+/g)].map(([run]) => run.length));
  const fence = '`'.repeat(longest + 1);
  return longest === 0 ? `${fence}${line}${fence}` : `${fence} ${line} ${fence}`;
}

function truncate(text: string, maxBytes: number): string {
  // The workflow's sandbox has no Buffer.
  const bytes = new TextEncoder().encode(text);
  if (bytes.length <= maxBytes) return text;
  // Cutting bytes may cut a character in two: its first half decodes to U+FFFD.
  return `${new TextDecoder().decode(bytes.slice(0, maxBytes - 3)).replace(/\uFFFD$/, '')}…`;
}
