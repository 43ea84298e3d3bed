import type { Collection, Db, Document } from 'mongodb';
import { Client } from 'pg';
import { STORE_COLLECTION } from '../../src/activities/mongo/epoch';
import { eventually } from '../support/eventually';
import type { World } from '../support/world';

/** A store as it was: what a backup is, without the programs that not every server comes with. */
export interface Backup {
  /** Puts the store back to it. What runs meanwhile is not asked. */
  restore(): Promise<void>;
  /** Removes what it kept. */
  drop(): Promise<void>;
}

/**
 * Copies the database. A restore puts the copy in the place of the database, as a restore into a
 * new one does, or as a promoted standby: connections break, and names stay.
 */
export async function backUpPostgres(world: World): Promise<Backup> {
  const { name, addresses } = world;
  const [kept, lost] = [`${name}_kept`, `${name}_lost`];
  const administer = async (...statements: string[]) => {
    const client = new Client({ connectionString: addresses.postgresUrl });
    await client.connect();
    try {
      for (const statement of statements) await client.query(statement);
    } finally {
      await client.end();
    }
  };
  const withoutSessions = async (...statements: string[]) => {
    const end = `select pg_terminate_backend(pid) from pg_stat_activity where datname = '${name}'`;
    await administer(`alter database ${name} allow_connections false`);
    await eventually(async () => {
      await administer(end);
      const done = await administer(...statements).catch(() => false);
      return done === undefined;
    }, 'nobody is connected to the database');
  };
  const copy = async () => {
    await withoutSessions(`create database ${kept} template ${name}`);
    await administer(`alter database ${name} allow_connections true`);
  };
  await copy();
  return {
    restore: async () => {
      await administer(`drop database if exists ${lost}`);
      await withoutSessions(`alter database ${name} rename to ${lost}`);
      await administer(
        `create database ${name} template ${kept}`,
        `alter database ${lost} allow_connections true`,
      );
    },
    drop: async () =>
      await administer(`drop database if exists ${kept}`, `drop database if exists ${lost}`),
  };
}

/**
 * Reads all documents. A restore puts them into the same collections, so that no connection and no
 * identity of the server changes: nothing but the data says what happened.
 */
export async function backUpMongo({ mongo }: World): Promise<Backup> {
  const db = mongo.db();
  const kept = new Map<string, Document[]>();
  for (const collection of await collectionsOf(db)) {
    const exact = { promoteValues: false, promoteLongs: false } as const;
    kept.set(collection.collectionName, await collection.find({}, exact).toArray());
  }
  return {
    restore: async () => {
      for (const collection of await collectionsOf(db)) {
        await collection.deleteMany({});
        const documents = kept.get(collection.collectionName) ?? [];
        if (documents.length > 0) {
          await collection.insertMany(documents, { bypassDocumentValidation: true });
        }
      }
    },
    drop: async () => {},
  };
}

/**
 * The store's own first: whoever is restored in place while it is written to can only be told by
 * what says so first.
 */
async function collectionsOf(db: Db): Promise<Collection[]> {
  const all = await db.listCollections({}, { nameOnly: true }).toArray();
  const names = new Set([STORE_COLLECTION, ...all.map(({ name }) => name)]);
  return [...names].map((name) => db.collection(name));
}
