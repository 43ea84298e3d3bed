import { BSON } from 'mongodb';
import { canonicalize } from '../domain/canonical-json';
import type { Image, Projection } from '../domain/projection';

/** The names of top-level fields, and never what is in them. */
export interface ImageDifferences {
  /** What the image would add to the document, or change in it. */
  readonly changes: readonly string[];
  /** What the document would lose. */
  readonly removes: readonly string[];
}

/**
 * Tells in which fields writing the image would change a document. Only what the projection owns
 * counts. The order of keys and the width of a number count for nothing: an image that comes from
 * Postgres has others than what an application once wrote.
 */
export function differencesOf(
  { owns }: Projection,
  document: Readonly<Record<string, unknown>>,
  image: Image,
): ImageDifferences {
  const stored = BSON.deserialize(BSON.serialize(image, { ignoreUndefined: true }));
  const isCompared = (field: string) =>
    field !== '_id' && field !== '_tw' && (owns === undefined || owns.includes(field));
  const removes = Object.keys(document).filter((field) => isCompared(field) && !(field in stored));
  const changes = Object.keys(stored).filter(
    (field) => isCompared(field) && contentOf(document[field]) !== contentOf(stored[field]),
  );
  return { changes, removes };
}

function contentOf(value: unknown): string {
  return canonicalize(BSON.EJSON.serialize({ value }, { relaxed: true }));
}
