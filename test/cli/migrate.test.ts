/**
 * Goal: `migrate` prepares what is Twinwrite's and touches nothing else; `--print` tells exactly
 * that. Method: the real command against databases that hold somebody else's tables and
 * collections, and a namespace of its own; what each holds is compared before and after.
 */
import { randomUUID } from 'node:crypto';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { Client } from '@temporalio/client';
import { MongoClient } from 'mongodb';
import { Pool } from 'pg';
import { pendingMigrations as pendingMongo } from '../../src/activities/mongo/migrate';
import {
  migratePostgres,
  pendingMigrations as pendingPostgres,
} from '../../src/activities/postgres/migrate';
import { eventually } from '../support/eventually';
import { openWorld, type World } from '../support/world';
import { runCli } from './run-cli';

interface EmptyStores {
  readonly name: string;
  readonly postgres: Pool;
  readonly mongo: MongoClient;
  readonly env: Record<string, string>;
  close(): Promise<void>;
}

/**
 * Databases that nobody has migrated, with the application's own things in them, and a namespace.
 */
async function openEmptyStores({ addresses, postgres: admin, temporal }: World) {
  const name = `test_${randomUUID().replaceAll('-', '').slice(0, 12)}`;
  await admin.query(`create database ${name}`);
  const [postgresUrl, mongoUri] = [addresses.postgresUrl, addresses.mongoUri].map((address) => {
    const url = new URL(address);
    url.pathname = `/${name}`;
    return url.toString();
  }) as [string, string];
  const postgres = new Pool({ connectionString: postgresUrl, max: 2 });
  const mongo = new MongoClient(mongoUri, { serverSelectionTimeoutMS: 2_000 });
  await postgres.query(`
    create table public.ledger (id int primary key, note text);
    insert into public.ledger values (1, 'theirs');
    create schema shop; create table shop.orders (id int)`);
  await mongo.db().collection<{ _id: number }>('ledger').insertOne({ _id: 1 });
  const { connection } = temporal;
  await createNamespace(temporal, name);
  const stores: EmptyStores = {
    name,
    postgres,
    mongo,
    env: {
      DATABASE_URL: postgresUrl,
      MONGODB_URI: mongoUri,
      TEMPORAL_ADDRESS: addresses.temporalAddress,
      TEMPORAL_NAMESPACE: name,
    },
    close: async () => {
      await connection.operatorService.deleteNamespace({ namespace: name });
      await postgres.end();
      await mongo.db().dropDatabase();
      await mongo.close();
      await admin.query(`drop database ${name}`);
    },
  };
  return stores;
}

async function createNamespace({ connection }: Client, namespace: string): Promise<void> {
  // A day, the shortest that Temporal takes. The type asks for its own Long, and a plain number
  // travels as well.
  const workflowExecutionRetentionPeriod = { seconds: 86_400 } as never;
  await connection.workflowService.registerNamespace({
    namespace,
    workflowExecutionRetentionPeriod,
  });
  const client = new Client({ connection, namespace });
  await eventually(
    () =>
      client.workflow.count('TaskQueue = "x"').then(
        () => true,
        () => undefined,
      ),
    `the namespace ${namespace} is there`,
  );
}

/** Everything outside the schema `twinwrite`, and its rows. */
async function strangersOf({ postgres, mongo }: EmptyStores) {
  const tables = await postgres.query(
    `select table_schema, table_name, column_name, data_type from information_schema.columns
      where table_schema not in ('pg_catalog', 'information_schema', 'twinwrite') order by 1, 2, 3`,
  );
  const rows = await postgres.query('select * from public.ledger');
  const collections = await mongo
    .db()
    .listCollections({ name: { $not: /^twinwrite_/ } })
    .toArray();
  const documents = await mongo.db().collection('ledger').find().toArray();
  return {
    tables: tables.rows,
    rows: rows.rows,
    collections: collections.map((collection) => collection.name),
    documents,
  };
}

/** The schema `twinwrite` in words, to compare two of them. */
async function schemaOf(postgres: Pool) {
  const columns = await postgres.query(
    `select table_name, column_name, data_type, is_nullable from information_schema.columns where table_schema = 'twinwrite' order by 1, 2`,
  );
  const functions = await postgres.query(
    `select proname, prosrc from pg_proc p join pg_namespace n on n.oid = pronamespace where nspname = 'twinwrite' order by 1, 2`,
  );
  const versions = await postgres.query('select version, name from twinwrite.migration order by 1');
  return { columns: columns.rows, functions: functions.rows, versions: versions.rows };
}

describe('twinwrite migrate', () => {
  let world: World;
  let stores: EmptyStores;

  beforeAll(async () => {
    world = await openWorld();
  });

  afterAll(async () => {
    await world.close();
  });

  beforeEach(async () => {
    stores = await openEmptyStores(world);
  });

  afterEach(async () => {
    await stores.close();
  });

  test('it prepares both stores and the namespace, twice, and leaves the rest alone', async () => {
    const { env, name, postgres, mongo } = stores;
    const before = await strangersOf(stores);
    const named = (missing: readonly { version: number; name: string }[]) =>
      missing.map(({ version, name: migration }) => ({ version, name: migration }));
    const missing = {
      postgres: named(await pendingPostgres(postgres)),
      mongo: named(await pendingMongo(mongo.db())),
    };
    expect(missing.postgres[0]).toEqual({ version: 1, name: 'ledger' });
    const first = await runCli(['migrate', '--json'], { env });
    expect(first).toMatchObject({ code: 0 });
    expect(JSON.parse(first.stdout)).toMatchObject({
      postgres: { database: name, applied: missing.postgres },
      mongo: { database: name, applied: missing.mongo },
      searchAttributes: {
        status: 'registered',
        names: ['TwinwriteDefinition', 'TwinwriteOutcome'],
      },
    });
    expect(await pendingPostgres(postgres)).toEqual([]);
    expect(await pendingMongo(mongo.db())).toEqual([]);
    const again = await runCli(['migrate'], { env });
    expect(again).toMatchObject({
      code: 0,
      stdout: 'Temporal: the search attributes are there.\n',
    });
    expect(again.stderr).toContain(`PostgreSQL database "${name}": nothing to do`);
    expect(again.stderr).toContain(`MongoDB database "${name}": nothing to do`);
    expect(await strangersOf(stores)).toEqual(before);
  });

  test('--print changes nothing, and psql can run what it prints', async () => {
    const { env, postgres, mongo } = stores;
    const { code, stdout } = await runCli(['migrate', '--print'], { env });
    expect(code).toBe(0);
    expect(await pendingPostgres(postgres)).not.toEqual([]);
    expect((await mongo.db().listCollections().toArray()).length).toBe(1);
    expect(stdout).toContain('--   db.createCollection("twinwrite_ledger")');
    expect(stdout).toContain('search-attribute create --name TwinwriteOutcome --type Keyword');
    await postgres.query(stdout);
    const printed = await schemaOf(postgres);
    await postgres.query('drop schema twinwrite cascade');
    await migratePostgres(postgres);
    expect(printed).toEqual(await schemaOf(postgres));
  });

  test('--no-search-attributes needs no Temporal; with it, a Temporal that is away is told after the stores are ready', async () => {
    const env = { ...stores.env, TEMPORAL_ADDRESS: '127.0.0.1:9' };
    const away = await runCli(['migrate'], { env });
    expect(away.code).toBe(1);
    expect(away.stderr).toContain('twinwrite: Temporal did not answer');
    expect(await pendingPostgres(stores.postgres)).toEqual([]);
    const without = await runCli(['migrate', '--no-search-attributes'], { env });
    expect(without).toMatchObject({
      code: 0,
      stdout: 'Temporal: the search attributes were left out.\n',
    });
  });
});
