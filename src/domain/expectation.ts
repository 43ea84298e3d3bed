import type { AnyCrossStoreUpdate } from './definition';
import { issueAt } from './json';
import { invalidInput } from './parse-input';
import { type DocumentReference, entityKeyOf } from './projection';

/**
 * What a caller has read and wants to change: optimistic concurrency. The update is applied only if
 * the document still has this version; otherwise it is refused, and leaves no trace.
 *
 * @see https://www.rfc-editor.org/rfc/rfc9110#name-preconditions for `If-Match`, whose meaning
 *   this is; a version serves as an entity tag.
 */
export interface Expectation {
  /**
   * What `projection.versionOf(document)` said of the document that was read; null when it must not
   * be there.
   */
  readonly version: string | null;
  /** Which document: needed where the update projects another number of them than one. */
  readonly document?: DocumentReference;
}

/** The same as it travels: by the document's key. */
export type ExpectedVersions = Readonly<Record<string, string | null>>;

/** A document that was not as expected. */
export interface VersionConflict {
  /** Its collection and id: `orders/7`. */
  readonly document: string;
  readonly expected: string | null;
  /** What Postgres has; null where there is no such document. */
  readonly found: string | null;
}

const RULE =
  'is { version } or a list of { version, document }, where a version is what versionOf answered';

/**
 * Brings what a caller expects into the form that travels.
 *
 * @param documents the keys of what the update projects.
 * @throws TwinwriteError `InvalidInput`
 */
export function expectedVersionsOf(
  { name }: AnyCrossStoreUpdate,
  documents: readonly string[],
  expect: Expectation | readonly Expectation[],
): ExpectedVersions {
  const list: readonly unknown[] = Array.isArray(expect) ? expect : [expect];
  const expected = new Map<string, string | null>();
  for (const one of list) {
    if (!isExpectation(one)) throw invalidInput(name, [issueAt('expect', RULE)]);
    const key = one.document === undefined ? theOnly(name, documents) : entityKeyOf(one.document);
    if (expected.has(key)) throw invalidInput(name, [issueAt('expect', `names ${key} twice`)]);
    expected.set(key, one.version);
  }
  const versions = Object.fromEntries(expected);
  assertProjected(name, documents, versions);
  return versions;
}

/** An expectation of something else would never be looked at under a lock. */
export function assertProjected(
  definition: string,
  documents: readonly string[],
  expected: ExpectedVersions,
): void {
  const other = Object.keys(expected).find((key) => !documents.includes(key));
  if (other === undefined) return;
  const reason = `names ${other}, which the update does not project`;
  throw invalidInput(definition, [issueAt('expect', reason)]);
}

/** Says what is wrong with expectations from the wire, or nothing when they are good. */
export function findExpectedProblem(expected: unknown): string | undefined {
  if (expected === undefined) return undefined;
  const isGood =
    typeof expected === 'object' &&
    expected !== null &&
    !Array.isArray(expected) &&
    Object.values(expected).every(isVersion);
  return isGood ? undefined : 'is no map from documents to versions';
}

function theOnly(definition: string, documents: readonly string[]): string {
  const [key] = documents;
  if (key !== undefined && documents.length === 1) return key;
  const reason =
    documents.length === 0
      ? 'needs a projected document, and the update has none; compare a column of your own in apply'
      : `names no document, and the update projects ${documents.length}; say which with { document, version }`;
  throw invalidInput(definition, [issueAt('expect', reason)]);
}

function isExpectation(value: unknown): value is Expectation {
  if (typeof value !== 'object' || value === null) return false;
  const { version, document } = value as Partial<Expectation>;
  const isReference = typeof document?.projection?.collection === 'string';
  return isVersion(version) && (document === undefined || isReference);
}

/** Versions are 64-bit integers: a number would lose the last digits of some. */
const VERSION = /^[1-9][0-9]{0,18}$/;

function isVersion(value: unknown): value is string | null {
  return value === null || (typeof value === 'string' && VERSION.test(value));
}
