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
}

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
    document: (id: string): DocumentReference => {
      if (typeof id !== 'string' || id === '' || id.length > 400) {
        throw new TwinwriteError('InvalidDefinition', {
          definition: options.collection,
          problem: 'a document id is a string of 1 to 400 characters.',
        });
      }
      return { projection, id };
    },
  });
  return projection;
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
