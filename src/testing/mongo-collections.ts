import { BSON, type Db, type Document } from 'mongodb';
import { tooLarge } from './postgres-tables';
import { rowOf, type TableState } from './table-state';

/** Everything that the collections of a database hold, ready to be written back. */
export type MongoSnapshot = ReadonlyMap<string, readonly Document[]>;

export const LOSSLESS = {
  promoteValues: false,
  promoteLongs: false,
  promoteBuffers: false,
  bsonRegExp: true,
} as const;

/** What somebody wrote without waiting for a majority counts as well. */
export const AS_IT_IS = { readConcern: 'local', readPreference: 'primary' } as const;

/** What tells the stores apart from a restored one must not go back; notes on sessions need not. */
const OWN_TO_KEEP = new Set(['twinwrite_store', 'twinwrite_transactions']);

/**
 * Reads all collections of the database, each as of the moment of its reading.
 *
 * @throws TwinwriteError `InvalidConfiguration` when there are more than `maxRows` documents.
 */
export async function readCollections(db: Db, maxRows: number): Promise<MongoSnapshot> {
  const found = await db.listCollections({ type: 'collection' }, { nameOnly: true }).toArray();
  const names = found
    .map(({ name }) => name)
    .filter((name) => !name.startsWith('system.') && !OWN_TO_KEEP.has(name))
    .sort();
  const read = async (name: string) =>
    await db
      .collection(name)
      .find({}, { ...LOSSLESS, ...AS_IT_IS })
      .limit(maxRows + 1)
      .toArray();
  const documents = await Promise.all(names.map(read));
  if (documents.flat().length > maxRows) throw tooLarge('MongoDB', maxRows);
  return new Map(names.map((name, index) => [name, documents[index] ?? []]));
}

/**
 * The application's collections among them. What is Twinwrite's own in a document is left out: a
 * tombstone is a document that is gone.
 */
export function collectionStatesOf(snapshot: MongoSnapshot): TableState[] {
  return [...snapshot]
    .filter(([name]) => !name.startsWith('twinwrite_'))
    .map(([name, documents]) => ({
      title: `MongoDB collection ${name}`,
      name,
      key: ['_id'],
      rows: documents
        .filter((document) => !isGone(document))
        .map((document) => rowOf({ ...document, _tw: undefined })),
    }));
}

/** A projection that owns some fields leaves the application's own in the tombstone. */
function isGone({ _tw: stamp, _id, ...rest }: Document): boolean {
  return typeof stamp === 'object' && stamp?.live === false && Object.keys(rest).length === 0;
}

/** Writes back what a snapshot held, document by document where something differs. */
export async function restoreCollections(
  db: Db,
  to: MongoSnapshot,
  maxRows: number,
): Promise<void> {
  const options = { writeConcern: { w: 'majority', journal: true } } as const;
  for (const [name, documents] of await readCollections(db, maxRows)) {
    const wanted = to.get(name) ?? [];
    const extra = leftOver(documents, wanted).map(({ _id }) => _id);
    const missing = leftOver(wanted, documents);
    if (extra.length > 0) await db.collection(name).deleteMany({ _id: { $in: extra } }, options);
    if (missing.length > 0) {
      // Some were written around the application's validator, tombstones among them.
      const all = { ...options, bypassDocumentValidation: true };
      await db.collection(name).insertMany(missing, all);
    }
  }
}

function leftOver(documents: readonly Document[], others: readonly Document[]): Document[] {
  const known = new Set(others.map(textOf));
  return documents.filter((document) => !known.has(textOf(document)));
}

function textOf(document: Document): string {
  return BSON.EJSON.stringify(document, { relaxed: false });
}
