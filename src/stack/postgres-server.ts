import { randomBytes } from 'node:crypto';
import { chmod, chown, cp, mkdir, readdir, realpath, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { Client } from 'pg';
import { StackError } from './errors';
import { childEnvironment, findServer } from './find-server';
import type { RunAs } from './guarded-process';
import { LOOPBACK } from './ports';
import { postgresSearch } from './postgres-search';
import { tailOf } from './reasons';
import { runProgram } from './run-program';
import type { RunningServer } from './running-server';
import { isOpenToAll } from './runtime-folder';
import { isDiskFull } from './source-failure';
import type { StartContext } from './start-context';
import { startServer } from './started-server';
import { unprivilegedUser } from './unprivileged-user';

const USER = 'twinwrite';

/** How the PostgreSQL server that is started differs from its defaults. */
export interface PostgresTuning {
  /** Whether a commit survives a crash of the machine; default true, as in production. */
  readonly durable?: boolean;
  /** At least 10; default 200. */
  readonly maxConnections?: number;
  /** Further settings by their names in `postgresql.conf`. */
  readonly settings?: Readonly<Record<string, string>>;
}

/** Finds PostgreSQL, makes an empty cluster in the runtime folder, and starts it. */
export async function startPostgres(
  context: StartContext,
  tuning: PostgresTuning = {},
): Promise<RunningServer> {
  const found = await findServer(context, await postgresSearch(context));
  context.report({ server: 'postgres', phase: 'starting', version: found.version });
  const runAs = await unprivilegedUser(childEnvironment(context));
  const programs = await reachablePrograms(context, found.program, runAs);
  const password = randomBytes(12).toString('hex');
  const data = await createCluster(context, programs, password, runAs);
  const urlOf = (port: number): string =>
    `postgresql://${USER}:${password}@${LOOPBACK}:${port}/postgres`;
  const { ports, process } = await startServer(context, {
    server: 'postgres',
    program: join(programs, 'postgres'),
    portCount: 1,
    args: ([port]) => ['-D', data, '-p', String(port), ...settingsOf(tuning)],
    probe: ([port = 0]) => ping(urlOf(port)),
    runAs,
    // A fast shutdown: clients are cut off, and what was committed is written.
    stopSignal: 'INT',
    graceMillis: 10_000,
    logFile: join(context.runtime.path, 'postgres.log'),
  });
  const url = urlOf(ports[0] ?? 0);
  context.report({
    server: 'postgres',
    phase: 'ready',
    version: found.version,
    source: found.source,
    url,
  });
  return { url, version: found.version, source: found.source, process };
}

function settingsOf(tuning: PostgresTuning): string[] {
  const settings: Record<string, string> = {
    listen_addresses: LOOPBACK,
    unix_socket_directories: '',
    max_connections: String(tuning.maxConnections ?? 200),
    timezone: 'UTC',
    ...(tuning.durable === false ? { fsync: 'off', full_page_writes: 'off' } : {}),
    ...tuning.settings,
  };
  return Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`]);
}

async function ping(url: string): Promise<void> {
  const client = new Client({ connectionString: url, connectionTimeoutMillis: 2_000 });
  // A connection that is cut off later must not end the program that we run in.
  client.on('error', () => undefined);
  try {
    await client.connect();
    await client.query('SELECT 1');
  } finally {
    await client.end().catch(() => undefined);
  }
}

/**
 * The folder of the server's programs, as the user who runs them can reach it. The cache folder of
 * root is usually closed to others: then they are copied to the runtime folder.
 */
async function reachablePrograms(
  context: StartContext,
  program: string,
  runAs: RunAs | undefined,
): Promise<string> {
  const folder = dirname(await realpath(program));
  if (runAs === undefined || (await isOpenToAll(folder))) return folder;
  const installation = dirname(folder);
  const copy = join(context.runtime.path, 'postgres-programs');
  await mkdir(copy);
  for (const name of await readdir(installation)) {
    // The server finds its libraries and its data files from its own place, so all go along.
    const options = { recursive: true, verbatimSymlinks: true };
    await cp(join(installation, name), join(copy, name), options);
  }
  await openToAll(copy);
  return join(copy, 'bin');
}

async function openToAll(folder: string): Promise<void> {
  await chmod(folder, 0o755);
  for (const entry of await readdir(folder, { withFileTypes: true })) {
    if (entry.isDirectory()) await openToAll(join(folder, entry.name));
  }
}

async function createCluster(
  context: StartContext,
  programs: string,
  password: string,
  runAs: RunAs | undefined,
): Promise<string> {
  const data = join(context.runtime.path, 'postgres');
  const passwordFile = join(context.runtime.path, 'postgres-password');
  await mkdir(data, { mode: 0o700 });
  await writeFile(passwordFile, password, { mode: 0o600 });
  if (runAs !== undefined) {
    await Promise.all([data, passwordFile].map((path) => chown(path, runAs.uid, runAs.gid)));
  }
  const program = join(programs, 'initdb');
  const args = ['-D', data, '-U', USER, '--encoding=UTF8', '--locale=C', '--no-sync'];
  const authentication = ['--auth=scram-sha-256', `--pwfile=${passwordFile}`];
  const { exitCode, output } = await runProgram(program, [...args, ...authentication], {
    env: childEnvironment(context),
    folder: context.runtime.path,
    runAs,
    signal: context.signal,
  });
  await rm(passwordFile);
  if (exitCode === 0) return data;
  const folder = context.runtime.path;
  const log = tailOf(output);
  if (await isDiskFull(folder, output)) throw new StackError({ code: 'DiskFull', folder, log });
  const reason = `it ended with code ${exitCode}`;
  throw new StackError({ code: 'StartFailed', server: 'postgres', program, reason, log });
}
