import type { Pool, PoolClient } from 'pg';
import { TwinwriteError } from '../domain/errors';
import type { DocumentReference, Image, Projection } from '../domain/projection';
import { entityKeyOf } from '../domain/projection';
import { lendClient } from './postgres/callback-client';
import { inTransaction } from './postgres/transaction';
import { RefusedError } from './refusal';
import { findStorageProblem } from './storable-image';

/** The image of one document, or none: then the document is gone, and becomes a tombstone. */
export interface DocumentImage {
  readonly reference: DocumentReference;
  readonly image: Image | undefined;
}

export interface VersionedImage extends DocumentImage {
  /** As a string: a version does not fit a double beyond epoch 8,191. */
  readonly version: string;
  /** The ticket of the unsettled update whose work the image shows, if one holds the document. */
  readonly holder: string | null;
}

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
 *
 * @throws TwinwriteError `MongoAhead`
 */
export async function readVersionedImages(
  pool: Pool,
  timeoutMillis: number,
  references: readonly DocumentReference[],
): Promise<VersionedImage[]> {
  return await inTransaction(
    pool,
    { timeoutMillis, mode: 'snapshot' },
    async (client) => await readVersionedImagesIn(client, references),
  );
}

/** The same in a transaction of the caller's, which has one snapshot or holds their row locks. */
export async function readVersionedImagesIn(
  client: PoolClient,
  references: readonly DocumentReference[],
): Promise<VersionedImage[]> {
  const versions = await queryVersions(client, references);
  const images = await readImages(client, references);
  return images.map((image) => ({ ...image, ...versionIn(versions, image.reference) }));
}

/**
 * The version that Postgres has of a document now.
 *
 * @throws TwinwriteError `MongoAhead`
 */
export async function readVersion(
  pool: Pool,
  timeoutMillis: number,
  reference: DocumentReference,
): Promise<string> {
  const options = { timeoutMillis, mode: 'snapshot' } as const;
  const { version } = await inTransaction(pool, options, async (client) =>
    versionIn(await queryVersions(client, [reference]), reference),
  );
  return version;
}

type Version = Pick<VersionedImage, 'version' | 'holder'>;

async function queryVersions(
  client: PoolClient,
  references: readonly DocumentReference[],
): Promise<Map<string, Version>> {
  const { rows } = await client.query<Version & { key: string }>(
    /*sql*/ `select key, version::text, holder::text from twinwrite.entity where key = any($1)`,
    [references.map(entityKeyOf)],
  );
  return new Map(rows.map(({ key, version, holder }) => [key, { version, holder }]));
}

/**
 * Whoever asks has met the document in a ledger or in MongoDB, where it has a version that Postgres
 * once assigned. A Postgres without one went back in time.
 */
function versionIn(versions: ReadonlyMap<string, Version>, reference: DocumentReference): Version {
  const version = versions.get(entityKeyOf(reference));
  if (version !== undefined) return version;
  const { projection, id } = reference;
  throw new TwinwriteError('MongoAhead', { collection: projection.collection, id });
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
  if (!Array.isArray(images)) throw misused(projection, 'returned no list of images');
  for (const image of images) {
    assertImage(projection, image, ids);
    found.set(image._id, image);
  }
  return found;
}

function assertImage(projection: Projection, image: Image, ids: readonly string[]): void {
  const problem = findImageProblem(projection, image, ids);
  if (problem !== undefined) throw misused(projection, problem);
  const storageProblem = findStorageProblem(image);
  if (storageProblem !== undefined) throw refusedImage(projection, storageProblem);
}

function misused({ collection }: Projection, problem: string): TwinwriteError {
  return new TwinwriteError('TransactionMisused', { definition: collection, problem });
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
