import { BSON } from 'mongodb';
import { readImages } from '../../activities/image';
import { inTransaction } from '../../activities/postgres/transaction';
import type { Finding } from '../../domain/finding';
import { parseInput } from '../../domain/parse-input';
import { type DocumentReference, entityKeyOf, type Image } from '../../domain/projection';
import { referencesOf } from '../../domain/update-keys';
import type { Bench } from '../bench';
import { LATER, withLaterClock } from '../clock';
import { findDifferences } from '../differences';
import { finding } from '../findings';
import { AS_IT_IS, LOSSLESS } from '../mongo-collections';
import { withOverrides } from '../postgres-calls';
import type { Sample } from '../samples';
import { type Row, rowOf, type TableState } from '../table-state';
import type { Reference } from './undisturbed';

/** How many documents of a collection are read beside those of the samples. */
const MAX_OTHERS = 50;
const READING = { timeoutMillis: 5_000, mode: 'snapshot' } as const;

/**
 * Applies the samples one after the other and reads the images of all documents there are, in all
 * the ways in which workers, repair and rebuild read them: together and alone, in another order, in
 * other transactions, later, before MongoDB has them and after. All have to be the same, and to be
 * what MongoDB has.
 */
export async function checkImages(bench: Bench, all: readonly Reference[]): Promise<Finding[]> {
  const references = all.filter(({ outcome }) => outcome.status === 'applied');
  if (bench.definition.form !== 'projection' || references.length === 0) return [];
  const samples = references.map(({ sample }) => sample);
  const name = samples.map((sample) => sample.name).join(', ');
  await bench.reset();
  for (const { sample, calls } of references) {
    const call = calls.findIndex(({ kind }) => kind === 'commit');
    await bench.run(sample, { cut: { call, when: 'after', how: 'death' } });
    const own = await documentsOf(bench, [sample]);
    const before = await readTogether(bench, own);
    await bench.run(sample);
    const sides = { before: 'read before MongoDB had it', after: 'read afterwards' };
    const seen = compare(before, await readTogether(bench, own), sides);
    if (seen.length > 0) return [finding('ImpureImage', sample.name, seen)];
  }
  const documents = await withOthers(bench, await documentsOf(bench, samples));
  const remembered = await findRemembered(bench, documents);
  if (remembered.length > 0) return [finding('ImpureImage', name, remembered)];
  const impure = await readInAllWays(bench, documents);
  if (impure.length > 0) return [finding('ImpureImage', name, impure)];
  const stale = await findStale(bench, documents);
  return stale.length === 0 ? [] : [finding('StaleDocument', name, stale)];
}

/** What is answered without a question is remembered, and goes on when the rows have changed. */
async function findRemembered(
  bench: Bench,
  documents: readonly DocumentReference[],
): Promise<string[]> {
  const remembered: string[] = [];
  for (const document of documents) {
    let asked = 0;
    const [read] = await inTransaction(bench.postgres, READING, (client) => {
      const query = (...parameters: Parameters<typeof client.query>) => {
        asked += 1;
        return client.query(...parameters);
      };
      return readImages(withOverrides(client, { query }), [document]);
    });
    if (asked > 0 || read?.image === undefined) continue;
    const { projection, id } = document;
    remembered.push(
      `The image of ${projection.collection}, _id = "${id}": not asked of PostgreSQL`,
    );
  }
  return remembered;
}

async function readInAllWays(
  bench: Bench,
  documents: readonly DocumentReference[],
): Promise<string[]> {
  const first = await readTogether(bench, documents);
  const ways: readonly (readonly [string, () => Promise<TableState[]>])[] = [
    ['read again', () => readTogether(bench, documents)],
    ['read in another order', () => readTogether(bench, documents.toReversed())],
    ['read alone', () => readAlone(bench, documents)],
    [`read ${LATER}`, () => withLaterClock(() => readTogether(bench, documents))],
  ];
  for (const [after, read] of ways) {
    const seen = compare(first, await read(), { before: 'read at first', after });
    if (seen.length > 0) return seen;
  }
  return [];
}

function compare(
  before: readonly TableState[],
  after: readonly TableState[],
  sides: { readonly before: string; readonly after: string },
): string[] {
  return findDifferences(before, after, sides, () => false);
}

async function documentsOf(
  { definition }: Bench,
  samples: readonly Sample[],
): Promise<DocumentReference[]> {
  const unique = new Map<string, DocumentReference>();
  for (const { input } of samples) {
    for (const document of referencesOf(definition, await parseInput(definition, input))) {
      unique.set(entityKeyOf(document), document);
    }
  }
  return [...unique.values()];
}

/** The documents that the same collections have beside. */
async function withOthers(
  { mongo }: Bench,
  own: readonly DocumentReference[],
): Promise<DocumentReference[]> {
  const unique = new Map(own.map((document) => [entityKeyOf(document), document]));
  for (const projection of new Set(own.map((document) => document.projection))) {
    const others = await mongo
      .db()
      .collection<{ _id: string }>(projection.collection)
      .find({ '_tw.live': true }, { projection: { _id: 1 }, limit: MAX_OTHERS })
      .toArray();
    for (const { _id } of others) {
      const document = projection.document(_id);
      if (!unique.has(entityKeyOf(document))) unique.set(entityKeyOf(document), document);
    }
  }
  return [...unique.values()];
}

async function readTogether(
  bench: Bench,
  documents: readonly DocumentReference[],
): Promise<TableState[]> {
  const images = await inTransaction(bench.postgres, READING, (client) =>
    readImages(client, documents),
  );
  const collections = [...new Set(documents.map(({ projection }) => projection.collection))];
  return collections.map((collection) => {
    const own = images.filter(({ reference }) => reference.projection.collection === collection);
    return stateOf(
      collection,
      own.flatMap(({ image }) => (image === undefined ? [] : [rowOfImage(image)])),
    );
  });
}

async function readAlone(
  bench: Bench,
  documents: readonly DocumentReference[],
): Promise<TableState[]> {
  const states: TableState[] = [];
  for (const document of documents) states.push(...(await readTogether(bench, [document])));
  const collections = [...new Set(states.map(({ name }) => name))];
  return collections.map((collection) =>
    stateOf(
      collection,
      states.filter(({ name }) => name === collection).flatMap(({ rows }) => rows),
    ),
  );
}

function stateOf(collection: string, rows: readonly Row[]): TableState {
  return { title: `The image of ${collection}`, name: collection, key: ['_id'], rows };
}

/** As MongoDB would give it back: an `undefined` is left out, a number has its kind. */
function rowOfImage(image: Image): Row {
  const bytes = BSON.serialize(image, { ignoreUndefined: true });
  return rowOf(BSON.deserialize(bytes, LOSSLESS));
}

/** What MongoDB has of these documents beside their images. */
async function findStale(bench: Bench, documents: readonly DocumentReference[]): Promise<string[]> {
  const images = await readTogether(bench, documents);
  const stored: TableState[] = [];
  for (const projection of new Set(documents.map((document) => document.projection))) {
    const ids = documents
      .filter((document) => document.projection === projection)
      .map(({ id }) => id);
    const found = await bench.mongo
      .db()
      .collection<{ _id: string }>(projection.collection)
      .find({ _id: { $in: ids }, '_tw.live': true }, { ...LOSSLESS, ...AS_IT_IS })
      .toArray();
    const isOwned = (field: string) =>
      field === '_id' || (field !== '_tw' && (projection.owns?.includes(field) ?? true));
    const rows = found.map((document) =>
      rowOf(Object.fromEntries(Object.entries(document).filter(([field]) => isOwned(field)))),
    );
    stored.push(stateOf(projection.collection, rows));
  }
  return compare(stored, images, { before: 'in MongoDB', after: 'as it is read from Postgres' });
}
