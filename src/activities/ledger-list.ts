import type { Pool } from 'pg';

/** The states of an update that is not settled, as the view `twinwrite.updates` names them. */
export const UNSETTLED_STATES = ['queued', 'granted', 'forward', 'undoing', 'parked'] as const;

export const SETTLED_STATES = ['applied', 'compensated', 'refused'] as const;

export type ListedState = (typeof UNSETTLED_STATES | typeof SETTLED_STATES)[number];

export interface ListedUpdate {
  readonly definition: string;
  readonly token: string;
  readonly state: ListedState;
  readonly at: string;
  readonly ageMillis: number;
  /** Its driver meant to be done by now. Never of a settled one. */
  readonly overdue: boolean;
  readonly workflow: string;
  /** While it is not settled. */
  readonly entities: readonly string[] | null;
  readonly parked: string | null;
  /** Why it is refused, compensated or being undone. */
  readonly reason: string | null;
}

export interface ListFilter {
  readonly states: readonly ListedState[];
  readonly definition: string | undefined;
  readonly olderThanMillis: number;
  readonly limit: number;
}

/**
 * The updates that a filter lets through, oldest first. Those that are not settled are read from
 * their own small table; settled ones from the ledger, which a large one takes a while for.
 */
export async function listUpdates(postgres: Pool, filter: ListFilter): Promise<ListedUpdate[]> {
  const { states, definition, olderThanMillis, limit } = filter;
  const isUnsettledOnly = !states.some((state) => isSettled(state));
  const { rows } = await postgres.query<Omit<ListedUpdate, 'at'> & { at: Date }>(
    /*sql*/ `select definition, token, state, at, (extract(epoch from age) * 1000)::float8 as "ageMillis", coalesce(due < now(), false) as overdue,
        workflow, entities, parked, reason
      from ${isUnsettledOnly ? 'twinwrite.unsettled' : 'twinwrite.updates'}
      where state = any($1) and ($2::text is null or definition = $2 collate "C") and at <= now() - $3 * interval '1 millisecond'
      order by at, definition, token limit $4`,
    [states, definition ?? null, olderThanMillis, limit],
  );
  return rows.map((row) => ({
    ...row,
    at: row.at.toISOString(),
    ageMillis: Math.max(0, Math.round(row.ageMillis)),
  }));
}

function isSettled(state: ListedState): boolean {
  return (SETTLED_STATES as readonly string[]).includes(state);
}
