import { MongoClient } from 'mongodb';
import { Pool } from 'pg';
import { readLedgerConfig } from '../config';
import { reasonOf } from '../stack/reasons';
import { CommandFailure } from './failure';

const ANSWER_WITHIN_MILLIS = 5_000;

/**
 * A pool that has answered.
 *
 * @throws CommandFailure
 */
export async function openPostgres(url: string, connections: number): Promise<Pool> {
  const pool = new Pool({
    connectionString: url,
    max: connections,
    application_name: 'twinwrite',
    connectionTimeoutMillis: ANSWER_WITHIN_MILLIS,
  });
  // A connection that breaks while it is idle must not end the process; whoever uses one next sees
  // what is wrong.
  pool.on('error', () => undefined);
  try {
    await pool.query('select 1');
    return pool;
  } catch (error) {
    await pool.end();
    throw new CommandFailure(
      `PostgreSQL at ${hostOf(url)} cannot be used (${reasonOf(error)}); check DATABASE_URL and that the server runs.`,
      { cause: error },
    );
  }
}

/**
 * The same, of the database that `DATABASE_URL` names.
 *
 * @throws CommandFailure; TwinwriteError `InvalidConfiguration`
 */
export async function openLedger(): Promise<Pool> {
  return await openPostgres(readLedgerConfig().postgresUrl, 1);
}

/**
 * A client that has answered.
 *
 * @throws CommandFailure
 */
export async function openMongo(uri: string): Promise<MongoClient> {
  let client: MongoClient | undefined;
  try {
    client = new MongoClient(uri, {
      appName: 'twinwrite',
      serverSelectionTimeoutMS: ANSWER_WITHIN_MILLIS,
    });
    await client.connect();
    await client.db().command({ ping: 1 });
    return client;
  } catch (error) {
    await client?.close();
    throw new CommandFailure(
      `MongoDB at ${hostOf(uri)} cannot be used (${reasonOf(error)}); check MONGODB_URI and that the server runs.`,
      { cause: error },
    );
  }
}

/**
 * The part of a connection string that holds no secret; it may name several hosts, which is no URL.
 */
function hostOf(url: string): string {
  return /^[^:]+:\/\/(?:.*@)?([^/?@]*)/.exec(url)?.[1] ?? 'an unknown address';
}
