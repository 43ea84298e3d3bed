import type { Database } from './postgres/database';
import type { Instant, Tuple } from './postgres/values';

type Finds = (pending: Tuple) => boolean;

const isCalled: Finds = (row) => row['stage'] === 'granted' && !isForJanitor(row);

/** As `take_overdue` has it. */
function isForJanitor(row: Tuple): boolean {
  if (row['stage'] !== 'granted') return row['stage'] !== 'queued';
  return (row['calls'] as number) >= 2 || row['parked'] !== null;
}

/** When the first call is to be repeated; nothing where none is kept. */
export function firstCallMillis(database: Database): number | undefined {
  return earliest(
    firstDue(database, 'pending', isCalled),
    firstDue(database, 'call', () => true),
  );
}

/** When the first row is the janitor's. */
export function firstOverdueMillis(database: Database): number | undefined {
  return firstDue(database, 'pending', isForJanitor);
}

const earliest = (a: number | undefined, b: number | undefined): number | undefined =>
  a === undefined || b === undefined ? (a ?? b) : Math.min(a, b);

function firstDue(database: Database, table: string, finds: Finds): number | undefined {
  let first: number | undefined;
  for (const row of database.rows(table)) {
    const found = row.latest();
    if (found === null || !finds(found)) continue;
    first = earliest(first, (found['due'] as Instant).millis);
  }
  return first;
}
