import { randomUUID } from 'node:crypto';
import type { Pool, PoolClient } from 'pg';
import type { Execute } from 'twinwrite';
import type { Counted } from '../support/counted-definitions';
import type { RunningWorker } from '../support/world';
import { type Family, readPrometheusText } from '../worker/fixtures/prometheus-text';

/** What the tests of the outbox have in common. */

export const ONCE = { postgres: { applied: 1, undone: 0 }, mongo: { applied: 1, undone: 0 } };

export const counted = (): { id: string } => ({ id: randomUUID() });

export function executeWith(client: Pick<PoolClient, 'query'>): Execute {
  return (sql, parameters) => client.query(sql, parameters);
}

/** A caller's own transaction: rolled back when `work` throws, and passes the error on. */
export async function inOwnTransaction<Result>(
  pool: Pool,
  work: (execute: Execute, client: PoolClient) => Promise<Result>,
  begin = 'begin',
): Promise<Result> {
  const client = await pool.connect();
  try {
    await client.query(begin);
    const result = await work(executeWith(client), client);
    await client.query('commit');
    return result;
  } catch (error) {
    await client.query('rollback');
    throw error;
  } finally {
    client.release();
  }
}

export interface EnlistedRow {
  readonly token: string;
  readonly state: string;
  readonly parked: string | null;
  readonly attempts: number;
}

/** What the view shows of a definition's updates that are not started, the oldest first. */
export async function enlistedRows(
  pool: Pool,
  { name }: Pick<Counted, 'name'>,
): Promise<EnlistedRow[]> {
  const { rows } = await pool.query<EnlistedRow>(
    'select token, state, parked, attempts from twinwrite.enlisted where definition = $1 order by id',
    [name],
  );
  return rows;
}

export async function metricsOf({ health }: RunningWorker): Promise<ReadonlyMap<string, Family>> {
  const response = await fetch(`${health?.url}/metrics`);
  return readPrometheusText(await response.text());
}
