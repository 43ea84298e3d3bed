import { setTimeout as sleep } from 'node:timers/promises';
import type { Pool } from 'pg';
import { isTwinwriteError, type Twinwrite } from 'twinwrite';
import { expire } from './definition';

const AT_ONCE = 50;

/**
 * Gives back what nobody confirmed in time. Any number of processes may do so: the reservation is
 * the token, so each is given back once. One that was confirmed meanwhile is refused, and stays.
 */
export async function expireOverdue(postgres: Pool, twinwrite: Twinwrite): Promise<number> {
  const { rows } = await postgres.query<{ id: string }>(
    `select id from reservation where status = 'reserved' and expires_at <= now() order by expires_at limit $1`,
    [AT_ONCE],
  );
  const outcomes = await Promise.all(
    rows.map(async ({ id }) => await twinwrite.execute(expire, { reservationId: id })),
  );
  return outcomes.filter(({ status }) => status === 'applied').length;
}

/** Looks again and again, until it is stopped. */
export function startSweeper(
  postgres: Pool,
  twinwrite: Twinwrite,
  everyMillis: number,
): { stop: () => Promise<void> } {
  const stopping = new AbortController();
  const { signal } = stopping;
  const sweep = async (): Promise<void> => {
    while (!signal.aborted) {
      await expireOverdue(postgres, twinwrite).catch((error: unknown) => {
        // The next round asks with the same tokens.
        if (!isTwinwriteError(error, 'Unavailable')) throw error;
      });
      await sleep(everyMillis, undefined, { signal }).catch(() => {});
    }
  };
  const swept = sweep();
  // A failure is told by `stop`.
  swept.catch(() => {});
  return {
    stop: async () => {
      stopping.abort();
      await swept;
    },
  };
}
