import { randomBytes } from 'node:crypto';
import { Client, Connection } from '@temporalio/client';
import { msToTs } from '@temporalio/common';
import { MongoClient } from 'mongodb';
import { Pool } from 'pg';
import { Twinwrite } from 'twinwrite';
import { renderProgress, type Stack, startStack } from 'twinwrite/stack';
import type { Lifetime } from './lifetime';

/**
 * Where one run works: databases and a task queue of its own, on servers that it started or was
 * given. Nothing of it is left at the end.
 */
export interface Site {
  /** Names both databases and the task queue. */
  readonly name: string;
  readonly postgresUrl: string;
  readonly mongoUri: string;
  readonly temporalAddress: string;
  readonly namespace: string;
  /** The Temporal Web UI; unknown for a Temporal that was given. */
  readonly webUrl: string | undefined;
  /** Holds the logs of the run; gone with it. */
  readonly folder: string;
  readonly postgres: Pool;
  readonly mongo: MongoClient;
  readonly temporal: Client;
  readonly twinwrite: Twinwrite;
}

/**
 * Brings up the three servers, shows each address as soon as it answers, and opens what the run
 * needs on them.
 */
export async function openSite(example: string, lifetime: Lifetime): Promise<Site> {
  const rendered = renderProgress(process.stdout);
  const stack = await startStack({
    progress: rendered.progress,
    signal: lifetime.signal,
  }).finally(rendered.stop);
  lifetime.onClose(() => stack.stop());
  const name = `twinwrite_${example}_${randomBytes(6).toString('hex')}`;
  const postgres = await openPostgres(stack, name, lifetime);
  const mongo = await openMongo(stack, name, lifetime);
  const temporal = await openTemporal(stack, name, lifetime);
  const { webUrl } = stack.temporal;
  const twinwrite = await Twinwrite.connect({
    client: temporal,
    taskQueue: name,
    ...(webUrl === undefined ? {} : { webUi: webUrl }),
  });
  return {
    name,
    postgresUrl: postgres.url,
    mongoUri: mongo.uri,
    temporalAddress: stack.temporal.address,
    namespace: temporal.options.namespace,
    webUrl,
    folder: stack.folder,
    postgres: postgres.pool,
    mongo: mongo.client,
    temporal,
    twinwrite,
  };
}

async function openPostgres(stack: Stack, name: string, lifetime: Lifetime) {
  const administer = async (sql: string): Promise<void> => {
    const admin = new Pool({ connectionString: stack.postgres.url, max: 1 });
    admin.on('error', () => undefined);
    try {
      await admin.query(sql);
    } finally {
      await admin.end();
    }
  };
  await administer(`create database ${name}`);
  lifetime.onClose(() => administer(`drop database ${name} with (force)`));
  const address = new URL(stack.postgres.url);
  address.pathname = `/${name}`;
  const url = address.toString();
  const pool = new Pool({ connectionString: url, max: 4, connectionTimeoutMillis: 5_000 });
  // An idle connection that breaks is no reason to die: the next query says what is wrong.
  pool.on('error', () => undefined);
  lifetime.onClose(() => pool.end());
  return { url, pool };
}

async function openMongo(stack: Stack, name: string, lifetime: Lifetime) {
  const uri = withMongoDatabase(stack.mongo.uri, name);
  const client = new MongoClient(uri, { serverSelectionTimeoutMS: 5_000 });
  lifetime.onClose(() => client.close());
  lifetime.onClose(() => client.db().dropDatabase());
  await client.connect();
  return { uri, client };
}

/**
 * Credentials are looked up in the database of the path unless the address says where: it must say
 * so before the path changes.
 */
export function withMongoDatabase(uri: string, name: string): string {
  const [, server = '', database = '', query = ''] =
    /^(mongodb(?:\+srv)?:\/\/[^/?]+)\/?([^?]*)\??(.*)$/.exec(uri) ?? [];
  const options = new URLSearchParams(query);
  if (server.includes('@') && !options.has('authSource')) {
    options.set('authSource', database === '' ? 'admin' : database);
  }
  const text = options.toString();
  return `${server}/${name}${text === '' ? '' : `?${text}`}`;
}

/**
 * A Temporal that was given may remember the updates of an earlier run, whose databases are gone;
 * so the run gets a namespace of its own there.
 */
async function openTemporal(stack: Stack, name: string, lifetime: Lifetime): Promise<Client> {
  // It closes with the process. Before that, a call that is being retried would throw from a timer,
  // where nobody catches it.
  const connection = await Connection.connect({ address: stack.temporal.address });
  if (stack.temporal.source !== 'given') return new Client({ connection });
  await connection.workflowService.registerNamespace({
    namespace: name,
    workflowExecutionRetentionPeriod: msToTs('1 day'),
  });
  lifetime.onClose(() => connection.operatorService.deleteNamespace({ namespace: name }));
  return new Client({ connection, namespace: name });
}
