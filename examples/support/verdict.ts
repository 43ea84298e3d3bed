import { isDeepStrictEqual } from 'node:util';

/**
 * The verdict on a run. It is read from the two stores by code that shares nothing with Twinwrite:
 * neither this file nor those that use it import the product.
 */
export interface Verdict {
  /** How many updates were submitted. */
  readonly updates: number;
  /** Both stores have it, equal field by field. */
  readonly both: number;
  /** Neither store has it. */
  readonly neither: number;
  /** Everything else, each with what is wrong. */
  readonly divergent: readonly string[];
}

/** The last line of an example. */
export function verdictLine({ updates, both, neither, divergent }: Verdict): string {
  return `updates: ${updates} both: ${both} neither: ${neither} divergent: ${divergent.length}`;
}

/** A document as a reader gets it, with the field that Twinwrite keeps in it. */
export interface StoredDocument {
  readonly _id: string;
  readonly _tw?: { readonly live?: boolean };
  readonly [field: string]: unknown;
}

/** One submitted update: the id it writes, and whether its caller was told that it was applied. */
export interface Submitted {
  readonly id: string;
  readonly applied: boolean;
}

/** What the two stores hold: the row's image, as this code reads it, and the document. */
export interface StoreContents {
  readonly rows: ReadonlyMap<string, Readonly<Record<string, unknown>>>;
  readonly documents: ReadonlyMap<string, StoredDocument>;
}

/** Holds every submitted update, and everything that nobody submitted, against the stores. */
export function judge(
  submitted: readonly Submitted[],
  { rows, documents }: StoreContents,
): Verdict {
  const divergent: string[] = [];
  let both = 0;
  let neither = 0;
  for (const { id, applied } of submitted) {
    const row = rows.get(id);
    const document = liveFields(documents.get(id));
    const problem = findProblem(row, document, applied);
    if (problem !== undefined) divergent.push(`${id}: ${problem}`);
    else if (row === undefined) neither += 1;
    else both += 1;
  }
  const known = new Set(submitted.map(({ id }) => id));
  for (const id of rows.keys()) {
    if (!known.has(id)) divergent.push(`${id}: PostgreSQL has a row that nobody submitted`);
  }
  for (const [id, document] of documents) {
    if (known.has(id) || liveFields(document) === undefined) continue;
    divergent.push(`${id}: MongoDB has a document that nobody submitted`);
  }
  return { updates: submitted.length, both, neither, divergent };
}

/** A tombstone is a document that is gone. */
function liveFields(document: StoredDocument | undefined): Record<string, unknown> | undefined {
  if (document === undefined || document._tw?.live === false) return undefined;
  const { _tw, ...fields } = document;
  return fields;
}

function findProblem(
  row: Readonly<Record<string, unknown>> | undefined,
  document: Record<string, unknown> | undefined,
  applied: boolean,
): string | undefined {
  if (row === undefined && document === undefined) {
    return applied
      ? 'its caller was told that it was applied, and neither store has it'
      : undefined;
  }
  if (row === undefined) return 'MongoDB has it, PostgreSQL has not';
  if (document === undefined) return 'PostgreSQL has it, MongoDB has not';
  const fields = new Set([...Object.keys(row), ...Object.keys(document)]);
  const different = [...fields].filter((name) => !isDeepStrictEqual(row[name], document[name]));
  if (different.length > 0) return `the stores differ in ${different.join(', ')}`;
  return applied
    ? undefined
    : 'its caller was told that it was not applied, and both stores have it';
}
