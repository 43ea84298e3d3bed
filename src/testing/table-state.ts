import { BSON } from 'mongodb';

/** What each column of a row, or each path of a document, holds, as the text of the store. */
export type Row = ReadonlyMap<string, string | null>;

/** What a table or a collection of the application holds. */
export interface TableState {
  /** How it is called in messages: `PostgreSQL table stock`. */
  readonly title: string;
  /** How the option `ignore` names it. */
  readonly name: string;
  /** The columns that tell its rows apart; none when nothing but the whole row does. */
  readonly key: readonly string[];
  readonly rows: readonly Row[];
}

/** The key of what is only one. */
export const ONLY = '';

/** The leaves of a document by their paths (`lines[0].sku`), each as relaxed extended JSON. */
export function rowOf(document: unknown): Row {
  const leaves = new Map<string, string | null>();
  addLeaves(leaves, '', document);
  return leaves;
}

function addLeaves(leaves: Map<string, string | null>, path: string, value: unknown): void {
  if (value === undefined) return;
  const members = membersOf(path, value);
  if (members.length > 0) {
    for (const [memberPath, member] of members) addLeaves(leaves, memberPath, member);
  } else {
    leaves.set(path, BSON.EJSON.stringify(value, { relaxed: true }));
  }
}

/** What is no plain object and no list, such as a date or an ObjectId, is a leaf. */
function membersOf(path: string, value: unknown): [string, unknown][] {
  if (Array.isArray(value)) return value.map((item, index) => [`${path}[${index}]`, item]);
  if (typeof value !== 'object' || value === null || '_bsontype' in value) return [];
  if (Object.prototype.toString.call(value) !== '[object Object]') return [];
  return Object.entries(value).map(([key, item]) => [path === '' ? key : `${path}.${key}`, item]);
}
