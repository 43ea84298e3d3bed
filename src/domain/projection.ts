import type { PostgresClient } from './definition';
import { TwinwriteError } from './errors';

/** One document of a projection: what its `image` must keep in step with Postgres. */
export interface DocumentReference {
  readonly projection: Projection;
  readonly id: string;
}

/**
 * A document's image: everything in it but `_id`'s owner, the field `_tw`, which belongs to
 * Twinwrite.
 */
export type Image = { readonly _id: string } & Readonly<Record<string, unknown>>;

export interface ProjectionOptions {
  /**
   * The collection, in the database that the worker's MongoClient names. It belongs to this
   * projection alone.
   */
  readonly collection: string;
  /**
   * Reads the images of some documents from Postgres: one for each id, none for an id that is gone.
   * It is a function of Postgres and of nothing else, since repair and rebuild run the same code;
   * it is batched, so answer all ids with one query.
   */
  readonly image: (context: {
    readonly postgres: PostgresClient;
    readonly ids: readonly string[];
  }) => Promise<readonly Image[]>;
  /**
   * The top-level fields that the projection owns. Left out, it owns the whole document; given, the
   * application's other fields are left alone.
   */
  readonly owns?: readonly string[];
}

export interface Projection extends ProjectionOptions {
  /** Names one document of the collection. */
  document(id: string): DocumentReference;
  /**
   * The version of a document as it was read from MongoDB, for the option `expect`; null for one
   * that is not there, which a tombstone is not either. Opaque text, fit for an entity tag.
   *
   * @throws TwinwriteError `InvalidInput` for a document without a version: one that was read
   *   without its field `_tw`, or that is not Twinwrite's.
   */
  readonly versionOf: (document: object | null | undefined) => string | null;
  /**
   * What every `find` of the application has in its filter: `find({ ...orders.live, sku })`. A
   * document that is gone from Postgres stays in the collection as a tombstone, so that no late
   * write brings it back, and this leaves it out.
   *
   * A unique index leaves tombstones out in the same way, or the second one meets the first:
   * `createIndex({ email: 1 }, { unique: true, partialFilterExpression: customers.live })`. A
   * worker that is told of its projections looks for indexes that do not.
   */
  readonly live: LiveFilter;
}

/** The filter of the documents that are there: readers and indexes share it. */
type LiveFilter = { readonly '_tw.live': true };

/** The key of a document among the entities, and with it the row that its version lives in. */
export function entityKeyOf({ projection, id }: DocumentReference): string {
  return `${projection.collection}/${id}`;
}

/**
 * Defines a MongoDB collection that is a function of Postgres.
 *
 * @throws TwinwriteError `InvalidDefinition`
 */
export function defineProjection(options: ProjectionOptions): Projection {
  const problem = findProblem(options);
  if (problem !== undefined) {
    const collection: unknown = (options as ProjectionOptions | null)?.collection;
    const definition = typeof collection === 'string' ? collection : 'unnamed';
    throw new TwinwriteError('InvalidDefinition', { definition, problem });
  }
  const projection: Projection = Object.freeze({
    ...options,
    live: Object.freeze({ '_tw.live': true } as const),
    versionOf: (document: object | null | undefined) => versionOf(options.collection, document),
    document: (id: string): DocumentReference => {
      assertDocumentId(options.collection, id);
      return { projection, id };
    },
  });
  return projection;
}

function assertDocumentId(definition: string, id: unknown): void {
  const rule = 'a document id is a string of 1 to 400 characters';
  if (typeof id !== 'string') {
    throw new TwinwriteError('InvalidDefinition', { definition, problem: `${rule}.` });
  }
  // An id is made of an input: one of the wrong length is that input's fault.
  if (id === '' || id.length > 400) {
    const issues = [{ path: 'documents', reason: rule }];
    throw new TwinwriteError('InvalidInput', { definition, issues });
  }
}

/** A driver answers a 64-bit integer as a number where it fits, as a `Long`, or as a bigint. */
function versionOf(definition: string, document: object | null | undefined): string | null {
  if (document === null || document === undefined) return null;
  const stamp = (document as { _tw?: { version?: unknown; live?: unknown } })._tw;
  if (stamp?.live === false) return null;
  const version = String(stamp?.version);
  if (/^[1-9][0-9]*$/.test(version)) return version;
  const reason =
    'is missing: read the document with this field; "twinwrite adopt" gives it to one that was there before';
  throw new TwinwriteError('InvalidInput', { definition, issues: [{ path: '_tw', reason }] });
}

const COLLECTION = /^[A-Za-z_][A-Za-z0-9_.-]{0,119}$/;
const RESERVED = /^(system\.|twinwrite_)/;

function findProblem(options: ProjectionOptions): string | undefined {
  if (typeof options !== 'object' || options === null) return 'pass one object with its parts.';
  const { collection, image, owns } = options;
  if (typeof collection !== 'string' || !COLLECTION.test(collection)) {
    return '`collection` begins with a letter and has at most 120 letters, digits, "_", "-" and ".".';
  }
  if (RESERVED.test(collection))
    return '`collection` begins neither with "system." nor "twinwrite_".';
  if (typeof image !== 'function') return '`image` is a function of { postgres, ids }.';
  if (owns === undefined) return undefined;
  const areFields = Array.isArray(owns) && owns.length > 0 && owns.every(isOwnable);
  return areFields ? undefined : '`owns` lists top-level fields: no "_id", "_tw", "$" or ".".';
}

function isOwnable(field: unknown): boolean {
  return (
    typeof field === 'string' && /^[^$.][^.]*$/.test(field) && field !== '_id' && field !== '_tw'
  );
}

/**
 * Says what is wrong with a list of projections, which may come from plain JavaScript: it holds
 * none that `defineProjection` did not make, and no two of one collection (F41).
 */
export function findProjectionsProblem(projections: unknown): string | undefined {
  if (projections === undefined) return undefined;
  if (!Array.isArray(projections)) {
    return '`projections` is a list of what defineProjection returned, or left out.';
  }
  const stranger = projections.findIndex((projection) => !isProjection(projection));
  if (stranger !== -1) {
    return `projections[${stranger}] is no projection: make it with defineProjection.`;
  }
  const collections = (projections as Projection[]).map(({ collection }) => collection);
  const twice = collections.find((name, index) => collections.indexOf(name) !== index);
  if (twice === undefined) return undefined;
  return `Two of the projections have the collection "${twice}": define it once, and share it.`;
}

/** By its parts and not by its class: the application may have another copy of the package. */
function isProjection(value: unknown): value is Projection {
  if (typeof value !== 'object' || value === null) return false;
  const { collection, image, document } = value as Partial<Record<keyof Projection, unknown>>;
  return (
    typeof collection === 'string' && typeof image === 'function' && typeof document === 'function'
  );
}
