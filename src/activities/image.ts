import { BSON } from 'mongodb';
import type { Pool, PoolClient } from 'pg';
import { TwinwriteError } from '../domain/errors';
import type { DocumentReference, Image, Projection } from '../domain/projection';
import { entityKeyOf } from '../domain/projection';
import { lendClient } from './postgres/callback-client';
import { inTransaction } from './postgres/transaction';
import { RefusedError } from './refusal';

/** The image of one document, or none: then the document is gone, and becomes a tombstone. */
export interface DocumentImage {
  readonly reference: DocumentReference;
  readonly image: Image | undefined;
}

export interface VersionedImage extends DocumentImage {
  /** As a string: a version does not fit a double beyond epoch 8,191. */
  readonly version: string;
}

/** 16 MiB is MongoDB's limit; the rest is for what Twinwrite adds. */
const MAX_IMAGE_BYTES = 16 * 1024 * 1024 - 16 * 1024;

/**
 * Reads the images inside a transaction, one call for each projection, and makes sure that MongoDB
 * can hold them.
 */
export async function readImages(
  client: PoolClient,
  references: readonly DocumentReference[],
): Promise<DocumentImage[]> {
  const projections = new Set(references.map(({ projection }) => projection));
  const images: DocumentImage[] = [];
  for (const projection of projections) {
    const own = references.filter((reference) => reference.projection === projection);
    const found = await readProjection(
      client,
      projection,
      own.map(({ id }) => id),
    );
    images.push(...own.map((reference) => ({ reference, image: found.get(reference.id) })));
  }
  return images;
}

/**
 * Reads the newest committed images together with their versions. One snapshot shows both, because
 * a version is assigned in the transaction that changed the rows (clause 7).
 */
export async function readVersionedImages(
  pool: Pool,
  timeoutMillis: number,
  references: readonly DocumentReference[],
): Promise<VersionedImage[]> {
  return await inTransaction(pool, { timeoutMillis, mode: 'snapshot' }, async (client) => {
    const versions = await client.query<{ key: string; version: string }>(
      /*sql*/ `select key, version::text from twinwrite.entity where key = any($1)`,
      [references.map(entityKeyOf)],
    );
    const versionOf = new Map(versions.rows.map(({ key, version }) => [key, version]));
    const images = await readImages(client, references);
    return images.map(({ reference, image }) => {
      const version = versionOf.get(entityKeyOf(reference));
      if (version === undefined) throw new Error(`${entityKeyOf(reference)} has no version`);
      return { reference, image, version };
    });
  });
}

async function readProjection(
  client: PoolClient,
  projection: Projection,
  ids: readonly string[],
): Promise<Map<string, Image>> {
  const images = await lendClient(projection.collection, client, (postgres) =>
    projection.image({ postgres, ids }),
  );
  const found = new Map<string, Image>();
  for (const image of images) {
    assertImage(projection, image, ids);
    found.set(image._id, image);
  }
  return found;
}

function assertImage(projection: Projection, image: Image, ids: readonly string[]): void {
  const problem = findImageProblem(projection, image, ids);
  if (problem !== undefined) {
    throw new TwinwriteError('TransactionMisused', { definition: projection.collection, problem });
  }
  let bytes: number;
  try {
    bytes = BSON.calculateObjectSize(image, { ignoreUndefined: true });
  } catch (error) {
    throw refusedImage(projection, error instanceof Error ? error.message : 'it is not BSON');
  }
  if (bytes > MAX_IMAGE_BYTES) throw refusedImage(projection, `it has ${bytes} bytes`);
}

function findImageProblem(
  projection: Projection,
  image: Image,
  ids: readonly string[],
): string | undefined {
  if (typeof image !== 'object' || image === null) return 'returned an image that is no object';
  if (!ids.includes(image._id)) return 'returned an image whose _id was not asked for';
  const owned = projection.owns;
  const alien = Object.keys(image).find(
    (field) =>
      field === '_tw' ||
      field.startsWith('$') ||
      (owned !== undefined && field !== '_id' && !owned.includes(field)),
  );
  return alien === undefined
    ? undefined
    : `returned an image with the field "${alien}", which it does not own`;
}

function refusedImage(projection: Projection, problem: string): RefusedError {
  return new RefusedError({
    code: 'RefusedByMongo',
    message: `MongoDB cannot hold this document of ${projection.collection}: ${problem}`,
    constraint: projection.collection,
  });
}
