import { setTimeout as sleep } from 'node:timers/promises';
import type { Pool, PoolClient } from 'pg';
import { type DocumentReference, entityKeyOf } from '../domain/projection';
import { readVersionedImagesIn, type VersionedImage } from './image';
import { isDatabaseError, verdictOf } from './postgres/errors';
import { inTransaction } from './postgres/transaction';

const ATTEMPTS = 8;

/**
 * Gives documents their next version outside of any update, and reads their images under the locks
 * that this takes, in the order in which everybody takes them.
 *
 * A document that an update holds keeps its version. That update may itself wait for the adoption,
 * so to wait for it would never end; and what Postgres has now, with the version that it has now,
 * is what its own leg will write.
 *
 * @returns the images with their versions, by id.
 */
export async function assignVersions(
  pool: Pool,
  timeoutMillis: number,
  references: readonly DocumentReference[],
): Promise<Map<string, VersionedImage>> {
  if (references.length === 0) return new Map();
  for (let attempt = 1; ; attempt += 1) {
    try {
      const images = await inTransaction(pool, { timeoutMillis }, (client) =>
        assign(client, references),
      );
      return new Map(images.map((image) => [image.reference.id, image]));
    } catch (error) {
      if (!isWorthRepeating(error) || attempt === ATTEMPTS) throw error;
      await sleep(attempt * 50 + Math.random() * 100);
    }
  }
}

async function assign(
  client: PoolClient,
  references: readonly DocumentReference[],
): Promise<VersionedImage[]> {
  const { rows } = await client.query<{ key: string; isHeld: boolean }>(
    /*sql*/ `select key, holder is not null as "isHeld" from twinwrite.entity where key = any($1) order by key for update`,
    [references.map(entityKeyOf)],
  );
  const held = new Set(rows.filter(({ isHeld }) => isHeld).map(({ key }) => key));
  const free = references.map(entityKeyOf).filter((key) => !held.has(key));
  await client.query(/*sql*/ `select twinwrite.bump($1)`, [free]);
  return await readVersionedImagesIn(client, references);
}

/** A lock that was not to be had in time, above all. */
function isWorthRepeating(error: unknown): boolean {
  return isDatabaseError(error) && verdictOf(error) === 'transient';
}
