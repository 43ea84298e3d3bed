import type { Db, MongoClient } from 'mongodb';
import { parseStop, StoreUnverifiedError, stoppedError } from '../epoch-stop';
import { read } from './epoch';

/** What this process knows of the store behind a client: the last tick that Postgres remembers too. */
const knownTicks = new WeakMap<MongoClient, number>();

/** The clients of a repair, which works in a stopped store. */
const exempted = new WeakSet<MongoClient>();

/** Lets everything in that comes through this client. */
export function exempt(client: MongoClient): void {
  exempted.add(client);
}

/** The stores agree, and MongoDB was at this tick. */
export function noteTick(client: MongoClient, tick: number): void {
  knownTicks.set(client, Math.max(knownTicks.get(client) ?? 0, tick));
}

/** The last tick that was noted; nothing where no check of this process has succeeded. */
export function knownTickOf(client: MongoClient): number | undefined {
  return knownTicks.get(client);
}

/**
 * Lets a transaction in (clause 13), by what stands in the store and by what this process has seen
 * of it. A projection does not ask: what it writes is right in a restored store too, and PostgreSQL
 * was asked with the image.
 *
 * @throws StoreUnverifiedError; TwinwriteError `StoresStopped`
 */
export async function assertOpen(db: Db): Promise<void> {
  if (exempted.has(db.client)) return;
  const { stopped, tick } = await read(db);
  if (stopped !== undefined) throw stoppedError(parseStop(stopped));
  if (tick < (knownTicks.get(db.client) ?? 0)) throw new StoreUnverifiedError('MongoDB');
}
