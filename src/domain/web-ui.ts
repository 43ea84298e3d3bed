import type { AnyCrossStoreUpdate, Form } from './definition';
import { LEG_TITLES, type Progress } from './progress';

/** What the Temporal Web UI shows of an update. It renders Markdown, so whatever comes from a caller is shown as code and cannot format or link. */

const MAX_SUMMARY_BYTES = 200;
const MAX_LISTED = 20;

/** One line, in the list of workflows and as the page's heading. */
export function summaryOf(definition: string, token: string): string {
  return truncate(`${definition} ${token}`.replaceAll(/[`*_[\]<>|\\]/g, ' '), MAX_SUMMARY_BYTES);
}

const FORMS: { readonly [Name in Form]: string } = {
  projection: 'MongoDB documents that are a function of PostgreSQL',
  transaction: 'a MongoDB transaction of its own',
};

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
    `- **If MongoDB refuses** ${definition.undoable ? 'both stores are undone' : 'it is parked: there is no undo'}`,
  ].join('\n');
}

/** Where it stands; it changes with every step, and ends with the outcome. */
export function currentDetailsOf(progress: Progress): string {
  const { outcome, entities, definition, token } = progress;
  const lines = progress.done.map(({ leg, answer }) => `1. ${LEG_TITLES[leg]}: **${answer}**`);
  if (outcome === undefined) lines.push(`1. ${LEG_TITLES[progress.leg]}: *running*`);
  const heading =
    outcome === undefined
      ? `**Running** ${code(definition)} ${code(token)}`
      : `**Outcome: ${outcome.status}** ${code(definition)} ${code(token)}`;
  const reason =
    outcome === undefined || outcome.status === 'applied'
      ? []
      : ['', `**Reason** ${outcome.reason.code}: ${code(outcome.reason.message)}`];
  return [heading, '', `**Entities** ${listOf(entities)}`, '', ...lines, ...reason].join('\n');
}

function listOf(entities: readonly string[]): string {
  if (entities.length === 0) return 'none';
  const shown = entities.slice(0, MAX_LISTED).map(code).join(', ');
  const hidden = entities.length - MAX_LISTED;
  return hidden > 0 ? `${shown} and ${hidden} more` : shown;
}

function code(text: string): string {
  return `\`${truncate(text.replaceAll(/[`\r\n]/g, ' '), 300)}\``;
}

function truncate(text: string, maxBytes: number): string {
  // The workflow's sandbox has no Buffer.
  const bytes = new TextEncoder().encode(text);
  if (bytes.length <= maxBytes) return text;
  // Cutting bytes may cut a character in two: its first half decodes to U+FFFD.
  return `${new TextDecoder().decode(bytes.slice(0, maxBytes - 3)).replace(/\uFFFD$/, '')}…`;
}
