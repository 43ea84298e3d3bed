import { type Db, Long } from 'mongodb';
import type { Pool } from 'pg';
import { MAJORITY_READ, type ProjectedDocument, versionOf } from '../activities/mongo/projection';
import type { Projection } from '../domain/projection';
import { BATCH, type RepairedStores } from './finding';

/** The documents that PostgreSQL has lost, some ids at a time. */
export async function* findAhead(
  { postgres, mongo }: RepairedStores,
  projection: Projection,
): AsyncGenerator<string[]> {
  for await (const ids of idsInMongo(mongo.db(), projection)) {
    // MongoDB first: whatever it has, PostgreSQL had before.
    const inMongo = await versionsInMongo(mongo.db(), projection, ids);
    const inPostgres = await versionsInPostgres(postgres, projection, ids);
    yield ids.filter((id) => {
      const [found, own] = [inMongo.get(id), inPostgres.get(id)];
      return found !== undefined && (own === undefined || found.greaterThan(own.version));
    });
  }
}

/**
 * The documents that MongoDB has lost, or that have a new version, some ids at a time. What an
 * unsettled update has in hand is its own to write, but for those named.
 */
export async function* findBehind(
  { postgres, mongo }: RepairedStores,
  projection: Projection,
  named: ReadonlySet<string>,
): AsyncGenerator<string[]> {
  for await (const ids of idsInPostgres(postgres, projection)) {
    // PostgreSQL first: what was settled there by then, MongoDB has.
    const inPostgres = await versionsInPostgres(postgres, projection, ids);
    const inMongo = await versionsInMongo(mongo.db(), projection, ids);
    yield ids.filter((id) => {
      const [found, own] = [inMongo.get(id), inPostgres.get(id)];
      if (own === undefined || (own.isInFlight && !named.has(id))) return false;
      return found === undefined || found.lessThan(own.version);
    });
  }
}

async function* idsInMongo(db: Db, { collection }: Projection): AsyncGenerator<string[]> {
  const cursor = db
    .collection<ProjectedDocument>(collection)
    .find(
      { '_tw.version': { $type: 'number' } },
      { ...MAJORITY_READ, projection: { _id: 1 }, sort: { _id: 1 } },
    );
  yield* inBatches(cursor, ({ _id }) => _id);
}

/** What a cursor names, some at a time: memory stays flat. */
export async function* inBatches<Item, Name>(
  items: AsyncIterable<Item>,
  nameOf: (item: Item) => Name,
): AsyncGenerator<Name[]> {
  let names: Name[] = [];
  for await (const item of items) {
    names.push(nameOf(item));
    if (names.length < BATCH) continue;
    yield names;
    names = [];
  }
  if (names.length > 0) yield names;
}

async function* idsInPostgres(
  postgres: Pool,
  { collection }: Projection,
): AsyncGenerator<string[]> {
  const prefix = `${collection}/`;
  for (let after = prefix; ; ) {
    // "0" comes next after "/": all keys of the collection, in the order of the primary key.
    const { rows } = await postgres.query<{ key: string }>(
      /*sql*/ `select key from twinwrite.entity where key > $1 and key < $2 order by key limit ${BATCH}`,
      [after, `${collection}0`],
    );
    if (rows.length > 0) yield rows.map(({ key }) => key.slice(prefix.length));
    const last = rows.at(-1);
    if (last === undefined || rows.length < BATCH) return;
    after = last.key;
  }
}

async function versionsInMongo(db: Db, { collection }: Projection, ids: readonly string[]) {
  const found = await db
    .collection<ProjectedDocument>(collection)
    .find({ _id: { $in: ids } }, { ...MAJORITY_READ, projection: { _tw: 1 } })
    .toArray();
  return new Map(found.map((document) => [document._id, versionOf(document)] as const));
}

async function versionsInPostgres(
  postgres: Pool,
  { collection }: Projection,
  ids: readonly string[],
) {
  const { rows } = await postgres.query<{ key: string; version: string; isInFlight: boolean }>(
    /*sql*/ `
      select e.key, e.version::text,
          e.key in (select unnest(p.documents) from twinwrite.pending p where p.documents && $1) as "isInFlight"
        from twinwrite.entity e where e.key = any($1)`,
    [ids.map((id) => `${collection}/${id}`)],
  );
  return new Map(
    rows.map(({ key, version, isInFlight }) => [
      key.slice(collection.length + 1),
      { version: Long.fromString(version), isInFlight },
    ]),
  );
}
