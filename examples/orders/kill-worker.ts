import { setTimeout as sleep } from 'node:timers/promises';
import type { Db } from 'mongodb';
import type { Pool } from 'pg';
import type { WorkerPool } from '../support/worker-pool';
import { countUnsettled, type Unsettled } from './unsettled';

/** How many updates a kill shall meet half way. */
const WANTED = 20;
const POLL_MILLIS = 10;

/** How far the load is. */
export interface LoadState {
  readonly total: number;
  /** Sent to Temporal so far: what the schema refuses is not. */
  sent: number;
  /** Answered so far. */
  answered: number;
}

/** Whom the kill met. */
export interface Kill extends Unsettled {
  readonly processId: number;
}

/**
 * Kills one worker in the middle of the work, as soon as enough updates have written something and
 * are not settled. Where there are never so many, it kills once half of the updates are answered.
 */
export async function killWorkerAmidst(
  pool: WorkerPool,
  postgres: Pool,
  db: Db,
  load: LoadState,
): Promise<Kill> {
  while (load.answered < load.total / 5) await sleep(POLL_MILLIS);
  for (;;) {
    const met = await countUnsettled(postgres, db, load.sent);
    if (met.begun >= WANTED || load.answered >= load.total / 2) {
      return { processId: await pool.killOne(), ...met };
    }
    await sleep(POLL_MILLIS);
  }
}

export function describeKill({ processId, unsettled, begun, halfWritten }: Kill): string {
  const few = unsettled < WANTED ? ` (${WANTED} need a longer run: --updates)` : '';
  return [
    `SIGKILL to a worker (process ${processId}) with ${unsettled} updates unsettled${few}:`,
    `  ${begun} have written something, ${halfWritten} are in PostgreSQL and not yet in MongoDB; the other worker finishes them all`,
  ].join('\n');
}
