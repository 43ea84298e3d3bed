import type { CollationOptions, Collection, Filter, Long, MongoServerError } from 'mongodb';
import type { VersionedImage } from '../image';
import { within } from './deadline';
import { MAJORITY_READ, type ProjectedDocument, versionOf } from './projection';

/** A write that met the key of another document in a unique index. */
export class KeyTakenError extends Error {
  override readonly name = 'KeyTakenError';

  constructor(
    readonly versioned: VersionedImage,
    /** Never a cause: what the server says quotes the key, and causes travel into histories. */
    readonly answer: MongoServerError,
  ) {
    super('the key of this document belongs to another one');
  }
}

/** A document that has the key which was to be written. */
export interface MetDocument {
  /** Nothing when it is not ours. */
  readonly ours?: { readonly id: string; readonly version: Long; readonly live: boolean };
}

/** More than one comes only of what the index cannot tell us exactly. */
export const MAX_MET = 50;

/**
 * The documents that have the key which a write collided with, by a majority read. It may name too
 * many, never too few: whoever concludes something of one must conclude it of all.
 */
export async function findMet(
  collection: Collection<ProjectedDocument>,
  { versioned, answer }: KeyTakenError,
  timeoutMillis: number,
): Promise<MetDocument[]> {
  const key = keyOf(answer);
  const conditions = Object.keys(key.pattern).map((path) =>
    anyOf(path, key.isEncoded ? valuesAt(versioned, path) : [key.value[path]]),
  );
  const indexed = await indexedDocuments(collection, key.pattern, timeoutMillis);
  const finding = collection
    .find(
      {
        $and: [...conditions, indexed, { _id: { $ne: versioned.reference.id } }],
      } as Filter<ProjectedDocument>,
      {
        ...MAJORITY_READ,
        projection: { _tw: 1 },
        // The index's collation and not the collection's: "simple" where the index has none.
        collation: key.collation,
      },
    )
    .limit(MAX_MET)
    .toArray();
  const found = await within(timeoutMillis, finding);
  return found.map((document) => {
    const { _id: id, _tw: stamp } = document;
    const version = versionOf(document);
    if (version === undefined || typeof id !== 'string') return {};
    return { ours: { id, version, live: stamp?.live !== false } };
  });
}

interface Key {
  readonly pattern: Readonly<Record<string, unknown>>;
  readonly value: Readonly<Record<string, unknown>>;
  readonly collation: CollationOptions;
  /** Under a collation the server tells sort keys, which no query can look for. */
  readonly isEncoded: boolean;
}

function keyOf(answer: MongoServerError): Key {
  const record = (value: unknown) => (value ?? {}) as Record<string, unknown>;
  const collation = answer['collation'] as CollationOptions | undefined;
  return {
    pattern: record(answer['keyPattern']),
    value: record(answer['keyValue']),
    collation: collation ?? { locale: 'simple' },
    isEncoded: collation !== undefined,
  };
}

/** `$eq` and not `$in`, which would run a regular expression that stands in the data. */
function anyOf(path: string, values: readonly unknown[] | undefined): object {
  if (values === undefined) return {};
  // An empty array is indexed as undefined, which no query can ask for.
  const wanted = values.map((value) => ({ [path]: { $eq: value === undefined ? [] : value } }));
  return wanted.length === 0 ? { [path]: { $eq: null } } : { $or: wanted };
}

/** The values of an image at an index's path, through arrays; nothing when the image cannot tell. */
function valuesAt({ reference, image }: VersionedImage, path: string): unknown[] | undefined {
  const [field = '', ...rest] = path.split('.');
  const { owns } = reference.projection;
  const isPositional = rest.some((step) => /^\d+$/.test(step));
  if (isPositional || (owns !== undefined && !owns.includes(field))) return undefined;
  let values = flatten(image?.[field]);
  for (const step of rest) {
    values = values.flatMap((value) => flatten((value as Record<string, unknown> | null)?.[step]));
  }
  return values;
}

function flatten(value: unknown): unknown[] {
  if (Array.isArray(value)) return value as unknown[];
  return value === undefined ? [] : [value];
}

const UNAUTHORIZED = 13;

/** What a partial or sparse index leaves out has its key in peace. */
async function indexedDocuments(
  collection: Collection<ProjectedDocument>,
  pattern: Key['pattern'],
  timeoutMillis: number,
): Promise<object> {
  const paths = Object.keys(pattern).join();
  try {
    const indexes = await within(timeoutMillis, collection.indexes());
    const filters = indexes
      .filter(({ key, unique }) => unique === true && Object.keys(key).join() === paths)
      .map((index) => {
        if (index.partialFilterExpression !== undefined) return index.partialFilterExpression;
        if (index.sparse !== true) return {};
        return { $or: Object.keys(pattern).map((path) => ({ [path]: { $exists: true } })) };
      });
    return filters.length === 0 ? {} : { $or: filters };
  } catch (error) {
    // Without the privilege to list indexes there are too many candidates, not too few.
    if ((error as { code?: unknown }).code === UNAUTHORIZED) return {};
    throw error;
  }
}
