import type { Pool } from 'pg';
import { parseStop, StoreUnverifiedError, stoppedError } from '../epoch-stop';
import { isDatabaseError } from './errors';

/** What this process knows of the store behind a pool: the last tick that MongoDB remembers too. */
const knownTicks = new WeakMap<Pool, number | undefined>();

/** The pools of a repair, which works in a stopped store. */
const exempted = new WeakSet<Pool>();

/** Lets everything in that comes through this pool. */
export function exempt(pool: Pool): void {
  exempted.add(pool);
}

/** From now on nothing runs in the store of this pool before it was compared with MongoDB. */
export function requireCheck(pool: Pool): void {
  if (!knownTicks.has(pool)) knownTicks.set(pool, undefined);
}

/** The stores agree, and PostgreSQL was at this tick. */
export function noteTick(pool: Pool, tick: number): void {
  knownTicks.set(pool, Math.max(knownTicks.get(pool) ?? 0, tick));
}

/**
 * The statement that lets a transaction in, to be sent with its BEGIN (clause 13). It goes by what
 * stands in the store and by what this process has seen of it, not by the state of connections: a
 * restore may leave those alone, and a pooler hides them.
 *
 * @throws StoreUnverifiedError
 */
export function guardStatement(pool: Pool): string {
  if (exempted.has(pool)) return '';
  const tick = knownTicks.has(pool) ? knownTicks.get(pool) : 0;
  if (tick === undefined) throw new StoreUnverifiedError('PostgreSQL');
  return /*sql*/ `select twinwrite.assert_open(${tick})`;
}

const STOPPED = 'TW001';
const UNVERIFIED = 'TW002';

/** What an error of the guard means; any other error is answered as it is. */
export function explainGuard(error: unknown): unknown {
  if (!isDatabaseError(error)) return error;
  if (error.code === UNVERIFIED) return new StoreUnverifiedError('PostgreSQL');
  if (error.code !== STOPPED) return error;
  const { detail } = error as { detail?: string };
  return detail === undefined ? error : stoppedError(parseStop(detail));
}
