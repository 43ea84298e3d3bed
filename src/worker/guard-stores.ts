import type { Pool, PoolClient } from 'pg';
import type { Logger } from 'pino';

/**
 * Keeps a connection that breaks from ending the process. A pool tells of an idle one by an `error`
 * event, a connection that is checked out tells of itself, and Node ends a process in which nobody
 * listens (H9). The leg that had it fails by itself and is tried again.
 *
 * @returns what takes the pool's listeners away again.
 */
export function guardPool(pool: Pool, logger: Logger): () => void {
  const guarded = new WeakSet<PoolClient>();
  const onIdleError = (err: Error) => {
    logger.warn({ err }, 'an idle PostgreSQL connection broke; the pool opens another');
  };
  // By checkout, not by connect: the application may have opened it before.
  const onAcquire = (client: PoolClient) => {
    if (guarded.has(client)) return;
    guarded.add(client);
    client.on('error', (err) => {
      logger.debug({ err }, 'a PostgreSQL connection broke');
    });
  };
  pool.on('error', onIdleError);
  pool.on('acquire', onAcquire);
  return () => {
    pool.off('error', onIdleError);
    pool.off('acquire', onAcquire);
  };
}
