/**
 * Goal: each way in which starting or using a server fails has its own code and one sentence, and
 * leaves nothing running. Method: the failure is provoked for real: ports are taken, a disk of a
 * few megabytes is mounted, a standalone mongod is started, credentials are wrong.
 */
import { execFileSync } from 'node:child_process';
import { mkdir, stat } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { afterEach, expect, test } from '@jest/globals';
import { MongoClient } from 'mongodb';
import { readStackEnvironment } from '../../src/stack/environment';
import { describeStackError, type StackError } from '../../src/stack/errors';
import { findServer } from '../../src/stack/find-server';
import { checkMongo, checkPostgres, checkTemporal } from '../../src/stack/given-servers';
import { mongoSearch } from '../../src/stack/mongo-search';
import { startMongo } from '../../src/stack/mongo-server';
import { freePorts, isPortTaken } from '../../src/stack/ports';
import { startPostgres } from '../../src/stack/postgres-server';
import { startServer } from '../../src/stack/started-server';
import {
  closeAll,
  failureOf,
  isThere,
  openContext,
  processesNaming,
  stopLater,
  temporaryFolder,
  until,
} from './support';

afterEach(closeAll);

const ROOT = process.getuid?.() === 0;

test('what configures the product is neither read nor handed to a server', () => {
  const product = {
    DATABASE_URL: 'postgres://production',
    MONGODB_URI: 'mongodb://production',
    TEMPORAL_ADDRESS: 'production:7233',
    PGDATA: '/production',
  };
  const environment = readStackEnvironment({ ...product, PATH: '/bin' }, '/home/user');
  expect(JSON.stringify(environment)).not.toContain('production');
  expect(environment.searchPath).toEqual(['/bin']);
});

test('a setting that is no address is refused before anything starts', () => {
  const read = () => readStackEnvironment({ TWINWRITE_STACK_POSTGRES_URL: 'localhost' }, '/home');
  expect(read).toThrow(
    'TWINWRITE_STACK_POSTGRES_URL cannot be used: it must begin with postgres:// or postgresql://; correct it or unset it.',
  );
});

test('a server whose port is taken, again and again, is given up, and the port is named', async () => {
  const context = await openContext();
  const others: ReturnType<typeof createServer>[] = [];
  // A stranger that wins the race for the port each time.
  const steal = (port: number) => {
    const other = createServer().listen(port, '127.0.0.1');
    others.push(other);
  };
  const failure = await failureOf(
    startServer(context, {
      server: 'temporal',
      program: '/bin/sh',
      portCount: 1,
      args: ([port = 0]) => {
        steal(port);
        return ['-c', 'exit 1'];
      },
      probe: () => Promise.reject(new Error('not ready')),
      stopSignal: 'TERM',
      graceMillis: 1_000,
      logFile: join(context.runtime.path, 'log'),
    }),
  );
  for (const other of others) other.close();
  expect(failure.code).toBe('PortTaken');
  expect(others).toHaveLength(5);
});

test('a server that does not start is explained by its exit code and its log', async () => {
  const context = await openContext();
  const starting = startPostgres(context, { settings: { no_such_setting: '1' } });
  const error = await starting.catch((reason: unknown) => reason);
  const failure = await failureOf(starting);
  expect(failure).toMatchObject({ code: 'StartFailed', reason: 'it ended with code 1' });
  expect(describeStackError(error as StackError)).toMatch(
    /unrecognized configuration parameter "no_such_setting"/,
  );
  expect(await processesNaming(context.runtime.path)).toHaveLength(1); // the sweeper
});

test('a full disk is recognised, and nothing is left running', async () => {
  if (!ROOT || process.platform !== 'linux') return; // only root may mount a small disk
  const folder = await temporaryFolder();
  execFileSync('/bin/mount', ['-t', 'tmpfs', '-o', 'size=12m,mode=0755', 'tmpfs', folder]);
  try {
    const context = await openContext();
    const runtime = { ...context.runtime, path: folder };
    const failure = await failureOf(startPostgres({ ...context, runtime }));
    expect(failure).toMatchObject({ code: 'DiskFull', folder });
    expect(await processesNaming(folder)).toEqual([]);
  } finally {
    execFileSync('/bin/umount', [folder]);
  }
});

test('the started PostgreSQL listens on loopback only, and ends without a trace', async () => {
  const context = await openContext();
  const server = await stopLater(startPostgres(context));
  const port = Number(new URL(server.url).port);
  expect(await isPortTaken(port)).toBe(true);
  if (ROOT) expect((await stat(join(context.runtime.path, 'postgres'))).uid).not.toBe(0);
  await server.process?.stop();
  expect(await isPortTaken(port)).toBe(false);
  await context.runtime.close();
  expect(isThere(context.runtime.path)).toBe(false);
  await until('no process is left', async () => {
    return (await processesNaming(context.runtime.path)).length === 0;
  });
});

test('a given PostgreSQL with a wrong password, none, or nobody listening is told apart', async () => {
  const context = await openContext();
  const { url } = await stopLater(startPostgres(context));
  await expect(checkPostgres(url)).resolves.toMatchObject({ source: 'given' });
  const wrong = url.replace(/:[^:@]*@/, ':wrong-password@');
  const failure = await failureOf(checkPostgres(wrong));
  expect(failure.code).toBe('WrongCredentials');
  expect(JSON.stringify(failure)).not.toContain('wrong-password');
  expect((await failureOf(checkPostgres(url.replace(/:[^:@]*@/, '@')))).code).toBe(
    'WrongCredentials',
  );
  expect((await failureOf(checkPostgres(`${url}-missing`))).code).toBe('InvalidSetting');
  const [port = 0] = await freePorts(1);
  const nobody = `postgres://user:password@127.0.0.1:${port}/postgres`;
  expect((await failureOf(checkPostgres(nobody))).code).toBe('Unreachable');
});

test('a given standalone mongod is refused, and a replica set is taken', async () => {
  const context = await openContext();
  const { program } = await findServer(context, await mongoSearch(context));
  const data = join(context.runtime.path, 'standalone');
  await mkdir(data);
  const standalone = await startServer(context, {
    server: 'mongo',
    program,
    portCount: 1,
    args: ([port]) => ['--dbpath', data, '--port', String(port), '--nounixsocket'],
    probe: async ([port = 0]) => {
      if (!(await isPortTaken(port))) throw new Error('not yet');
    },
    stopSignal: 'TERM',
    graceMillis: 10_000,
    logFile: join(context.runtime.path, 'standalone.log'),
  });
  const uri = `mongodb://127.0.0.1:${standalone.ports[0]}/`;
  expect((await failureOf(checkMongo(uri))).code).toBe('NotReplicaSet');
  expect((await failureOf(checkMongo(`${uri}?replicaSet=twinwrite`))).code).toBe('NotReplicaSet');
  await standalone.process.stop();
  const server = await stopLater(startMongo(context));
  await expect(checkMongo(server.url)).resolves.toMatchObject({ version: server.version });
  const client = new MongoClient(server.url);
  await client.withSession((session) =>
    session.withTransaction(() => client.db('test').collection('t').insertOne({}, { session })),
  );
  await client.close();
});

test('a given Temporal where nobody listens is unreachable', async () => {
  const [port = 0] = await freePorts(1);
  const failure = await failureOf(checkTemporal(`127.0.0.1:${port}`));
  expect(failure).toMatchObject({ code: 'Unreachable', server: 'temporal' });
});
