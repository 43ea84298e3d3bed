import type { ListedUpdate } from '../../activities/ledger-list';
import { tableOf } from '../output';
import { describeParked, parkedOf } from '../standing';

export interface ListReport {
  readonly updates: readonly ListedUpdate[];
  readonly isComplete: boolean;
}

/** The list, for people. */
export function describeList(
  { updates, isComplete }: ListReport,
  wanted: readonly string[],
): string {
  if (updates.length === 0) return `No update is ${wanted.join(' or ')}.`;
  const rows = updates.map((update) => [
    update.definition,
    printable(update.token),
    update.overdue ? `${update.state}, overdue` : update.state,
    ageOf(update.ageMillis),
    detailsOf(update),
  ]);
  const table = tableOf(['Definition', 'Token', 'State', 'Age', 'Details'], rows);
  const count = `updates: ${updates.length}`;
  return isComplete
    ? `${table}\n${count}`
    : `${table}\n${count} and more; raise --limit, or narrow the list.`;
}

const DETAILS_CHARACTERS = 100;

function detailsOf({ parked, reason, entities }: ListedUpdate): string {
  const text = detailOf(parked, reason) ?? (entities?.length ? entities.join(', ') : '');
  const line = printable(text);
  return line.length > DETAILS_CHARACTERS ? `${line.slice(0, DETAILS_CHARACTERS)}…` : line;
}

function detailOf(parked: string | null, reason: string | null): string | undefined {
  if (parked !== null) return describeParked(parkedOf(parked));
  if (reason === null) return undefined;
  const { code, message } = JSON.parse(reason) as { code: string; message: string };
  return `${code}: ${message}`;
}

/** Tokens, entities and reasons may be anybody's text: no control character reaches a terminal. */
function printable(text: string): string {
  return text.replaceAll(/\p{Cc}/gu, '�');
}

function ageOf(millis: number): string {
  const seconds = Math.floor(millis / 1_000);
  if (seconds < 60) return `${seconds} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes} min ${seconds % 60} s`;
  const hours = Math.floor(minutes / 60);
  return hours < 24
    ? `${hours} h ${minutes % 60} min`
    : `${Math.floor(hours / 24)} d ${hours % 24} h`;
}
