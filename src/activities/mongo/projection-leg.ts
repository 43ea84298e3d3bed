import type { Db } from 'mongodb';
import type { Pool } from 'pg';
import { shareMillis } from '../../domain/bounds';
import { entityKeyOf } from '../../domain/projection';
import type { Claim } from '../../domain/update-request';
import { readVersionedImages } from '../image';
import type { UpdateInHand } from '../update-in-hand';
import { writeInTurn } from './projection-turns';

/**
 * The projection form of the Mongo leg: writes what Postgres has now, with the version that it has
 * now. When it returns, each document of the claim is at that version or a later one.
 *
 * @throws RefusedError when MongoDB will never take a document of this update.
 */
export async function project(
  db: Db,
  postgres: Pool,
  update: UpdateInHand,
  claim: Claim,
): Promise<void> {
  const references = await update.documents(claim.documents);
  const { timeoutMillis } = update;
  const images = await readVersionedImages(
    postgres,
    shareMillis('image', timeoutMillis),
    references,
  );
  const until = performance.now() + shareMillis('mongo', timeoutMillis);
  const own = new Set(references.map(entityKeyOf));
  const turns = { db, postgres, own, ticket: claim.ticket, until };
  for (const image of images) await writeInTurn(turns, image);
}
