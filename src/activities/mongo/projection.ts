import { type Collection, type Db, type Filter, Long, type UpdateFilter } from 'mongodb';
import { TwinwriteError } from '../../domain/errors';
import type { VersionedImage } from '../image';
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

interface ProjectedDocument {
  readonly _id: string;
  readonly _tw?: Stamp;
  readonly [field: string]: unknown;
}

const MAJORITY = { w: 'majority', journal: true } as const;

/**
 * Writes one image if it is newer than the document. When it returns, this version or a later one
 * is there, with majority.
 *
 * A duplicate key has more than one meaning, and only a majority read tells them apart (F4): a
 * newer version was there first, two first inserts raced, or the document was never ours. On
 * another index than `_id` it is the data that is refused, and the error passes through.
 *
 * @throws TwinwriteError `NotAdopted`
 */
export async function writeImage(
  db: Db,
  timeoutMillis: number,
  versioned: VersionedImage,
): Promise<void> {
  const { projection, id } = versioned.reference;
  const collection = db.collection<ProjectedDocument>(projection.collection);
  const version = Long.fromString(versioned.version);
  const write = (upsert: boolean) =>
    projection.owns === undefined
      ? replaceImage(collection, versioned, version, { upsert, timeoutMS: timeoutMillis })
      : setOwned(collection, projection.owns, versioned, version, {
          upsert,
          timeoutMS: timeoutMillis,
        });
  try {
    await write(true);
  } catch (error) {
    if (duplicateKeyOf(error)?.join() !== '_id') throw error;
    if (await write(false)) return;
    await assertSuperseded(collection, id, version);
  }
}

interface WriteOptions {
  readonly upsert: boolean;
  readonly timeoutMS: number;
}

/**
 * A missing version never matches: a document that is not ours is met by the insert, whose
 * duplicate key reports it.
 */
function olderThan(id: string, version: Long): Filter<ProjectedDocument> {
  return { _id: { $eq: id }, '_tw.version': { $lt: version } };
}

async function replaceImage(
  collection: Collection<ProjectedDocument>,
  { reference, image }: VersionedImage,
  version: Long,
  options: WriteOptions,
): Promise<boolean> {
  const stamp: Stamp = { version, live: image !== undefined };
  const answer = await collection.replaceOne(
    olderThan(reference.id, version),
    { ...image, _id: reference.id, _tw: stamp },
    { ...options, ...writeOptions(stamp) },
  );
  return answer.matchedCount + answer.upsertedCount > 0;
}

async function setOwned(
  collection: Collection<ProjectedDocument>,
  owns: readonly string[],
  { reference, image }: VersionedImage,
  version: Long,
  options: WriteOptions,
): Promise<boolean> {
  const stamp: Stamp = { version, live: image !== undefined };
  const present = owns.filter((field) => image?.[field] !== undefined);
  const absent = owns.filter((field) => image?.[field] === undefined);
  const change: UpdateFilter<ProjectedDocument> = {
    $set: { ...Object.fromEntries(present.map((field) => [field, image?.[field]])), _tw: stamp },
    ...(absent.length === 0
      ? {}
      : { $unset: Object.fromEntries(absent.map((field) => [field, ''])) }),
  };
  const answer = await collection.updateOne(olderThan(reference.id, version), change, {
    ...options,
    ...writeOptions(stamp),
  });
  return answer.matchedCount + answer.upsertedCount > 0;
}

/** A tombstone has none of the fields that the application's validator may require (F14). */
function writeOptions({ live }: Stamp) {
  return { writeConcern: MAJORITY, ignoreUndefined: true, bypassDocumentValidation: !live };
}

async function assertSuperseded(
  collection: Collection<ProjectedDocument>,
  id: string,
  version: Long,
): Promise<void> {
  const found = await collection.findOne(
    { _id: { $eq: id } },
    {
      projection: { _tw: 1 },
      readConcern: 'majority',
      readPreference: 'primary',
      promoteLongs: false,
    },
  );
  if (found === null)
    throw new Error('the document was there and is gone; the next attempt writes it');
  if (found._tw === undefined) {
    throw new TwinwriteError('NotAdopted', { collection: collection.collectionName, id });
  }
  if (found._tw.version.lessThan(version))
    throw new Error('the first insert was lost; the next attempt replaces it');
}
