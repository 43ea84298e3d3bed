import { connect } from 'node:net';
import { Connection } from '@temporalio/client';
import { MongoClient, MongoServerError } from 'mongodb';
import { Client, DatabaseError } from 'pg';
import { SETTING, StackError } from './errors';
import { isTestedMongo } from './mongo-search';
import { isTestedPostgres } from './postgres-search';
import { reasonOf, withoutPassword } from './reasons';
import type { RunningServer } from './running-server';

/**
 * Servers that the environment names. They are used as they are, after a look at what would fail
 * later with a worse message: reachability, credentials, version. They are never stopped. The same
 * look tells whether a server that runs in the background answers.
 */

const ANSWER_LIMIT_MILLIS = 5_000;

/** invalid_authorization_specification and invalid_password. */
const POSTGRES_REFUSALS = new Set(['28000', '28P01']);
/** Unauthorized, AuthenticationFailed, and Atlas's own. */
const MONGO_REFUSALS = new Set<unknown>([13, 18, 8000]);
/** PERMISSION_DENIED and UNAUTHENTICATED of gRPC. */
const TEMPORAL_REFUSALS = new Set<unknown>([7, 16]);
const GRPC_NOT_FOUND = 5;

/** Below this, Temporal lacks what the SDK relies on. */
const OLDEST_TEMPORAL = [1, 28] as const;

export async function checkPostgres(url: string): Promise<RunningServer> {
  const address = withoutPassword(url);
  const client = new Client({
    connectionString: url,
    connectionTimeoutMillis: ANSWER_LIMIT_MILLIS,
  });
  client.on('error', () => undefined);
  try {
    await client.connect();
    const { rows } = await client.query<{ server_version: string }>('SHOW server_version');
    const version = rows[0]?.server_version.split(' ')[0] ?? 'unknown';
    if (!isTestedPostgres(version)) {
      const tested = '14 to 18';
      throw new StackError({
        code: 'UnsupportedVersion',
        server: 'postgres',
        address,
        version,
        tested,
      });
    }
    return { url, version, source: 'given' };
  } catch (error) {
    throw await postgresFailure(error, url, address);
  } finally {
    await client.end().catch(() => undefined);
  }
}

async function postgresFailure(error: unknown, url: string, address: string): Promise<unknown> {
  if (error instanceof StackError) return error;
  const fields = { server: 'postgres', address, reason: reasonOf(error) } as const;
  if (error instanceof DatabaseError) {
    if (POSTGRES_REFUSALS.has(error.code ?? '')) {
      return new StackError({ code: 'WrongCredentials', ...fields }, { cause: error });
    }
    const { reason } = fields;
    return new StackError({ code: 'InvalidSetting', variable: SETTING.postgres, reason });
  }
  // The driver gives up by itself, without a code, when a password is asked for and there is none.
  if (!/\/\/[^/@]*:[^/@]+@/.test(url) && (await listens(url))) {
    return new StackError({ code: 'WrongCredentials', ...fields, reason: 'it has no password' });
  }
  return new StackError({ code: 'Unreachable', ...fields }, { cause: error });
}

function listens(url: string): Promise<boolean> {
  const { hostname, port } = new URL(url);
  return new Promise((resolve) => {
    const socket = connect({ host: hostname, port: Number(port || 5432), timeout: 1_000 });
    const answer = (yes: boolean): void => {
      socket.destroy();
      resolve(yes);
    };
    socket.once('connect', () => answer(true));
    socket.once('error', () => answer(false));
    socket.once('timeout', () => answer(false));
  });
}

export async function checkMongo(uri: string): Promise<RunningServer> {
  const address = withoutPassword(uri);
  try {
    // Asked for a set, the driver does not even talk to a standalone server, and reports a timeout.
    const version = await withMongo(uri.replace(/([?&])replicaSet=[^&]*/, '$1'), async (client) => {
      const admin = client.db('admin');
      const hello = await admin.command({ hello: 1 });
      // A mongos has no set of its own, and says what it is.
      if (hello['setName'] === undefined && hello['msg'] !== 'isdbgrid') {
        throw new StackError({ code: 'NotReplicaSet', address });
      }
      const build = await admin.command({ buildInfo: 1 });
      return String(build['version']);
    });
    if (!isTestedMongo(version)) {
      const tested = '6.0 to 8.x';
      throw new StackError({
        code: 'UnsupportedVersion',
        server: 'mongo',
        address,
        version,
        tested,
      });
    }
    // With the set's name as it was given, and to its primary.
    await withMongo(uri, (client) =>
      client.db('admin').command({ listCollections: 1, nameOnly: true }),
    );
    return { url: uri, version, source: 'given' };
  } catch (error) {
    if (error instanceof StackError) throw error;
    const fields = { server: 'mongo', address, reason: reasonOf(error) } as const;
    const refused = error instanceof MongoServerError && MONGO_REFUSALS.has(error.code);
    const code = refused ? 'WrongCredentials' : 'Unreachable';
    throw new StackError({ code, ...fields }, { cause: error });
  }
}

async function withMongo<T>(uri: string, work: (client: MongoClient) => Promise<T>): Promise<T> {
  const client = new MongoClient(uri, { serverSelectionTimeoutMS: ANSWER_LIMIT_MILLIS });
  try {
    return await work(client);
  } finally {
    await client.close();
  }
}

export async function checkTemporal(address: string): Promise<RunningServer> {
  let connection: Connection | undefined;
  try {
    connection = await Connection.connect({ address, connectTimeout: ANSWER_LIMIT_MILLIS });
    const { serverVersion } = await connection.workflowService.getSystemInfo({});
    const version = serverVersion ?? 'unknown';
    const [major = 0, minor = 0] = version.split('.').map(Number);
    if (major !== OLDEST_TEMPORAL[0] || minor < OLDEST_TEMPORAL[1]) {
      const tested = `${OLDEST_TEMPORAL.join('.')} or later`;
      throw new StackError({
        code: 'UnsupportedVersion',
        server: 'temporal',
        address,
        version,
        tested,
      });
    }
    await connection.workflowService.describeNamespace({ namespace: 'default' });
    return { url: address, version, source: 'given' };
  } catch (error) {
    if (error instanceof StackError) throw error;
    throw temporalFailure(error, address);
  } finally {
    await connection?.close();
  }
}

function temporalFailure(error: unknown, address: string): StackError {
  const status = error instanceof Error && 'code' in error ? error.code : undefined;
  if (status === GRPC_NOT_FOUND) {
    const reason = `${address} has no namespace default`;
    return new StackError({ code: 'InvalidSetting', variable: SETTING.temporal, reason });
  }
  const fields = { server: 'temporal', address, reason: reasonOf(error) } as const;
  const code = TEMPORAL_REFUSALS.has(status) ? 'WrongCredentials' : 'Unreachable';
  return new StackError({ code, ...fields }, { cause: error });
}
