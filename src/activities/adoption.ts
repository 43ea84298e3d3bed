import { type Db, type FindCursor, MongoServerError } from 'mongodb';
import type { Pool } from 'pg';
import type { Projection } from '../domain/projection';
import { assignVersions } from './adoption-versions';
import { readImages, type VersionedImage } from './image';
import { differencesOf, type ImageDifferences } from './image-differences';
import { reasonOf, verdictOf } from './mongo/errors';
import { adoptDocument, NOT_OURS, type ProjectedDocument, writeImage } from './mongo/projection';
import { inTransaction } from './postgres/transaction';

/** What became of a document that was there before Twinwrite. */
export type AdoptionEnd =
  /** It has Postgres's image, and a version. */
  | 'adopted'
  /** It would have, had this not been a dry run. */
  | 'adoptable'
  /** Postgres has no such document: it is left alone. */
  | 'unknown'
  /** MongoDB refuses Postgres's image: it is left alone. */
  | 'refused'
  /** Somebody else adopted or removed it meanwhile; MongoDB has what Postgres has. */
  | 'overtaken';

export interface Adoption extends Partial<ImageDifferences> {
  readonly id: unknown;
  readonly end: AdoptionEnd;
  /** Why MongoDB refused. */
  readonly reason?: string;
}

export interface AdoptionStores {
  readonly postgres: Pool;
  readonly db: Db;
}

/** For one transaction, or one write: nobody but an operator waits. */
const TIMEOUT_MILLIS = 20_000;

/** A majority write waits, so several do at once. */
const WRITES_AT_ONCE = 8;

/** The documents of a collection that are not ours, with the fields that are compared. */
export function findStrangers(
  db: Db,
  { collection, owns }: Projection,
): FindCursor<ProjectedDocument> {
  return db.collection<ProjectedDocument>(collection).find(NOT_OURS, {
    readConcern: 'majority',
    readPreference: 'primary',
    // The index on _id shows each document once, also while this run changes them.
    sort: { _id: 1 },
    ...(owns === undefined
      ? {}
      : { projection: Object.fromEntries(owns.map((field) => [field, 1])) }),
  });
}

/** Tells what adopting these documents would do, and changes nothing in either store. */
export async function inspectStrangers(
  { postgres }: AdoptionStores,
  projection: Projection,
  documents: readonly ProjectedDocument[],
): Promise<Adoption[]> {
  const named = documents.filter(({ _id }) => isDocumentId(_id));
  const references = named.map(({ _id }) => projection.document(_id));
  const options = { timeoutMillis: TIMEOUT_MILLIS, mode: 'snapshot' } as const;
  const images = await inTransaction(
    postgres,
    options,
    async (client) => await readImages(client, references),
  );
  const imageOf = new Map(images.map(({ reference, image }) => [reference.id, image]));
  return documents.map((document): Adoption => {
    const { _id: id } = document;
    const image = imageOf.get(id);
    if (image === undefined) return { id, end: 'unknown' };
    return { id, end: 'adoptable', ...differencesOf(projection, document, image) };
  });
}

/**
 * Makes these documents ours. Each that Postgres knows gets its next version there, and then
 * Postgres's image with that version here, unless somebody else was faster. It may be run again, by
 * several at once, and beside workers; an update that waits for one of the documents goes on by
 * itself.
 */
export async function adoptStrangers(
  stores: AdoptionStores,
  projection: Projection,
  documents: readonly ProjectedDocument[],
): Promise<Adoption[]> {
  const inspected = await inspectStrangers(stores, projection, documents);
  const wanted = inspected.filter(({ end }) => end === 'adoptable');
  const versioned = await assignVersions(
    stores.postgres,
    TIMEOUT_MILLIS,
    wanted.map(({ id }) => projection.document(id as string)),
  );
  const adopt = async (adoption: Adoption, document: ProjectedDocument): Promise<Adoption> => {
    const { id, end } = adoption;
    if (end !== 'adoptable') return adoption;
    const image = versioned.get(document._id);
    // Deleted in Postgres since it was inspected.
    if (image?.image === undefined) return { id, end: 'unknown' };
    const differences = differencesOf(projection, document, image.image);
    return { id, ...differences, ...(await write(stores.db, image)) };
  };
  const tasks = inspected.map((adoption, index) => ({ adoption, document: documents[index] }));
  const adoptions: Adoption[] = [];
  for (let start = 0; start < tasks.length; start += WRITES_AT_ONCE) {
    const some = tasks
      .slice(start, start + WRITES_AT_ONCE)
      .map(async ({ adoption, document }) =>
        document === undefined ? adoption : await adopt(adoption, document),
      );
    adoptions.push(...(await Promise.all(some)));
  }
  return adoptions;
}

async function write(db: Db, image: VersionedImage): Promise<Pick<Adoption, 'end' | 'reason'>> {
  try {
    if (await adoptDocument(db, TIMEOUT_MILLIS, image)) return { end: 'adopted' };
    // The version that was assigned must not stay in Postgres alone.
    await writeImage(db, TIMEOUT_MILLIS, image);
    return { end: 'overtaken' };
  } catch (error) {
    if (!(error instanceof MongoServerError) || verdictOf(error) !== 'refusal') throw error;
    const { message } = reasonOf(error, image.reference.projection.collection);
    return { end: 'refused', reason: message };
  }
}

/** An `_id` of another type is nothing that a projection could have written. */
function isDocumentId(id: unknown): boolean {
  return typeof id === 'string' && id !== '' && id.length <= 400;
}
