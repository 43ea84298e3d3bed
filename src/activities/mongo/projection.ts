import {
  type ClientSession,
  type Collection,
  type Db,
  type Filter,
  Long,
  type UpdateFilter,
} from 'mongodb';
import { TwinwriteError } from '../../domain/errors';
import type { VersionedImage } from '../image';
import { within } from './deadline';
import { duplicateKeyOf } from './errors';

/**
 * What a projected document carries beside its image. It belongs to Twinwrite; readers look at
 * `live`.
 */
interface Stamp {
  readonly version: Long;
  /**
   * False for a tombstone: the document is gone, and its version keeps a late write from bringing
   * it back.
   */
  readonly live: boolean;
}

export interface ProjectedDocument {
  readonly _id: string;
  readonly _tw?: Stamp;
  readonly [field: string]: unknown;
}

/** What became of one image. */
export type WriteAnswer =
  | { readonly at: 'written' }
  /** This version or a later one was there before: nothing was written. */
  | { readonly at: 'superseded'; readonly version: Long }
  /** What was met is not yet durable, or was just removed: to be tried again. */
  | { readonly at: 'unclear' };

const MAJORITY = { w: 'majority', journal: true } as const;

/** How whoever must not be misled by a failover reads, and with versions as 64-bit integers. */
export const MAJORITY_READ = {
  readConcern: 'majority',
  readPreference: 'primary',
  promoteLongs: false,
} as const;

/** Documents without a version of ours: somebody else wrote them. */
export const NOT_OURS = {
  '_tw.version': { $not: { $type: 'number' } },
} satisfies Filter<ProjectedDocument>;

/**
 * Writes one image if it is newer than the document. When it answers `written` or `superseded`,
 * this version or a later one is there, with majority.
 *
 * A duplicate key has more than one meaning, and only a majority read tells them apart (F4): a
 * newer version was there first, two first inserts raced, or the document was never ours. On
 * another index than `_id` it passes through, since it takes Postgres to say what it means (F5).
 *
 * @throws TwinwriteError `NotAdopted`
 */
export async function writeImage(
  db: Db,
  timeoutMillis: number,
  versioned: VersionedImage,
): Promise<WriteAnswer> {
  const collection = collectionOf(db, versioned);
  const older = olderThan(versioned);
  const put = (upsert: boolean) =>
    within(
      timeoutMillis,
      putImage(collection, older, versioned, { upsert, writeConcern: MAJORITY }),
    );
  try {
    await put(true);
    return { at: 'written' };
  } catch (error) {
    if (duplicateKeyOf(error)?.join() !== '_id') throw error;
  }
  if (await put(false)) return { at: 'written' };
  return await findSuperseding(collection, versioned, timeoutMillis);
}

/**
 * Writes an image over a document that is not ours yet, and makes it ours. Says whether it was
 * still there and still nobody's.
 */
export async function adoptDocument(
  db: Db,
  timeoutMillis: number,
  versioned: VersionedImage,
): Promise<boolean> {
  const filter = { _id: { $eq: versioned.reference.id }, ...NOT_OURS };
  const collection = collectionOf(db, versioned);
  const options = { writeConcern: MAJORITY };
  return await within(timeoutMillis, putImage(collection, filter, versioned, options));
}

/**
 * Empties a document within a transaction that will write its image, so that the unique values of
 * the old one are free for others. It stays older than the image; says whether it was older before.
 */
export async function emptyDocument(
  db: Db,
  session: ClientSession,
  versioned: VersionedImage,
): Promise<boolean> {
  const version = Long.fromString(versioned.version).subtract(1).toString();
  const emptied = { ...versioned, version, image: undefined };
  return await putImage(collectionOf(db, versioned), olderThan(versioned), emptied, { session });
}

/** The same within a transaction; without an upsert, which could break an index there (F39). */
export async function replaceDocument(
  db: Db,
  session: ClientSession,
  versioned: VersionedImage,
): Promise<boolean> {
  return await putImage(collectionOf(db, versioned), olderThan(versioned), versioned, { session });
}

export function collectionOf(
  db: Db,
  { reference }: Pick<VersionedImage, 'reference'>,
): Collection<ProjectedDocument> {
  return db.collection<ProjectedDocument>(reference.projection.collection);
}

/** The version of a document that is ours. Who imported a dump may have narrowed it. */
export function versionOf(document: Pick<ProjectedDocument, '_tw'>): Long | undefined {
  const version: unknown = document._tw?.version;
  if (Long.isLong(version)) return version;
  return typeof version === 'number' ? Long.fromNumber(version) : undefined;
}

interface PutOptions {
  readonly upsert?: boolean;
  readonly writeConcern?: typeof MAJORITY;
  readonly session?: ClientSession;
}

/**
 * A missing version never matches: a document that is not ours is met by the insert, whose
 * duplicate key reports it.
 */
function olderThan({ reference, version }: VersionedImage): Filter<ProjectedDocument> {
  return { _id: { $eq: reference.id }, '_tw.version': { $lt: Long.fromString(version) } };
}

async function putImage(
  collection: Collection<ProjectedDocument>,
  filter: Filter<ProjectedDocument>,
  { reference, image, version }: VersionedImage,
  options: PutOptions,
): Promise<boolean> {
  const { id, projection } = reference;
  const stamp: Stamp = { version: Long.fromString(version), live: image !== undefined };
  // A tombstone has none of the fields that the application's validator may require (F14).
  const all = { ...options, ignoreUndefined: true, bypassDocumentValidation: !stamp.live };
  const answer =
    projection.owns === undefined
      ? await collection.replaceOne(filter, { ...image, _id: id, _tw: stamp }, all)
      : await collection.updateOne(filter, changeOf(projection.owns, image, stamp), all);
  return answer.matchedCount + answer.upsertedCount > 0;
}

/** Sets what the image has and unsets what it lacks; what is not owned is left alone. */
function changeOf(
  owns: readonly string[],
  image: VersionedImage['image'],
  stamp: Stamp,
): UpdateFilter<ProjectedDocument> {
  const present = owns.filter((field) => image?.[field] !== undefined);
  const absent = owns.filter((field) => image?.[field] === undefined);
  return {
    $set: { ...Object.fromEntries(present.map((field) => [field, image?.[field]])), _tw: stamp },
    ...(absent.length === 0
      ? {}
      : { $unset: Object.fromEntries(absent.map((field) => [field, ''])) }),
  };
}

async function findSuperseding(
  collection: Collection<ProjectedDocument>,
  { reference, version }: VersionedImage,
  timeoutMillis: number,
): Promise<WriteAnswer> {
  const found = await within(
    timeoutMillis,
    collection.findOne(
      { _id: { $eq: reference.id } },
      { ...MAJORITY_READ, projection: { _tw: 1 } },
    ),
  );
  if (found === null) return { at: 'unclear' };
  const foundVersion = versionOf(found);
  if (foundVersion === undefined) {
    const { collectionName } = collection;
    throw new TwinwriteError('NotAdopted', { collection: collectionName, id: reference.id });
  }
  // A majority read lags behind the write that we met.
  if (foundVersion.lessThan(Long.fromString(version))) return { at: 'unclear' };
  return { at: 'superseded', version: foundVersion };
}
