import { type ChildProcess, spawn } from 'node:child_process';
import { mkdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { readStackConfig } from '../config';
import type { StackEnvironment } from './environment';
import { type ServerName, StackError, type StackFailure } from './errors';
import type { StackEvent, StackProgress } from './events';
import { checkMongo, checkPostgres, checkTemporal } from './given-servers';
import type { Stack } from './index';
import { isAlive, type ProcessIdentity } from './process-identity';
import { acquireLock } from './process-lock';
import { reasonOf } from './reasons';

/**
 * A stack in the background: its servers are held by a process of their own, the keeper, which
 * lives until it is told to stop. A file in the cache folder says which process that is and where
 * the servers listen. The keeper is known by process id and start time, so that `down` never ends a
 * stranger that was given its id.
 */

const DOWN_LIMIT_MILLIS = 30_000;

/** The addresses and versions of a stack, as plain data. */
export type StackDescription = Omit<Stack, 'stop'>;

/** What the keeper tells the command that started it. */
export type KeeperMessage =
  | { readonly kind: 'event'; readonly event: StackEvent }
  | { readonly kind: 'ready'; readonly stack: StackDescription }
  | { readonly kind: 'failed'; readonly failure: StackFailure }
  | { readonly kind: 'crashed'; readonly reason: string };

/** What the file says while a stack is up. */
export interface BackgroundState {
  readonly keeper: ProcessIdentity;
  readonly stack: StackDescription;
}

export interface BackgroundOptions {
  readonly progress?: StackProgress;
  readonly environment?: StackEnvironment;
  /** Is told the id of another process that is bringing the stack up or down, and is waited for. */
  readonly onWait?: (processId: number) => void;
}

export interface UpResult {
  readonly stack: StackDescription;
  readonly wasUp: boolean;
}

/** `folder` held the data, which is gone. */
export type DownResult = { readonly wasUp: false } | { readonly wasUp: true; folder: string };

export interface ServerStatus {
  readonly server: ServerName;
  readonly url: string;
  readonly webUrl?: string;
  readonly version: string;
  readonly answers: boolean;
  /** Why it does not answer. */
  readonly reason?: string;
}

/** No servers when nothing is up. */
export interface StatusResult {
  readonly isUp: boolean;
  readonly folder?: string;
  readonly servers: readonly ServerStatus[];
}

/**
 * Starts the servers so that they outlive this process, or finds them running. Two at once start
 * one stack: the second waits and reports the same. Throws `StackError`, with nothing left running.
 */
export async function stackUp(options: BackgroundOptions = {}): Promise<UpResult> {
  return exclusively(options, async (environment) => {
    const state = await readState(environment);
    if (state !== undefined) return { stack: state.stack, wasUp: true };
    return { stack: await startKeeper(environment, options.progress), wasUp: false };
  });
}

/** Stops the servers of the background and removes their data. Servers that were given go on. */
export async function stackDown(options: BackgroundOptions = {}): Promise<DownResult> {
  return exclusively(options, async (environment) => {
    const state = await readState(environment);
    await rm(stateFile(environment), { force: true });
    if (state === undefined) return { wasUp: false };
    const { keeper, stack } = state;
    process.kill(keeper.processId, 'SIGTERM');
    const deadline = Date.now() + DOWN_LIMIT_MILLIS;
    while ((await isAlive(keeper)) || (await exists(stack.folder))) {
      if (Date.now() > deadline) {
        // The guardians stop the servers of a keeper that is gone, and the sweeper the data.
        if (await isAlive(keeper)) process.kill(keeper.processId, 'SIGKILL');
        break;
      }
      await sleep(50);
    }
    return { wasUp: true, folder: stack.folder };
  });
}

/** Asks each server of the background whether it answers. Changes nothing and waits for nobody. */
export async function stackStatus(options: BackgroundOptions = {}): Promise<StatusResult> {
  const state = await readState(environmentOf(options));
  if (state === undefined) return { isUp: false, servers: [] };
  const { postgres, mongo, temporal, folder } = state.stack;
  const { webUrl } = temporal;
  const servers = await Promise.all([
    status('postgres', postgres.url, postgres.version, checkPostgres),
    status('mongo', mongo.uri, mongo.version, checkMongo),
    status('temporal', temporal.address, temporal.version, checkTemporal),
  ]);
  return {
    isUp: true,
    folder,
    servers: servers.map((server) =>
      server.server === 'temporal' && webUrl !== undefined ? { ...server, webUrl } : server,
    ),
  };
}

async function status(
  server: ServerName,
  url: string,
  version: string,
  check: (url: string) => Promise<unknown>,
): Promise<ServerStatus> {
  try {
    await check(url);
    return { server, url, version, answers: true };
  } catch (error) {
    return { server, url, version, answers: false, reason: reasonOf(error) };
  }
}

async function exclusively<T>(
  options: BackgroundOptions,
  work: (environment: StackEnvironment) => Promise<T>,
): Promise<T> {
  const environment = environmentOf(options);
  await mkdir(environment.cacheFolder, { recursive: true }).catch((error: unknown) => {
    const folder = environment.cacheFolder;
    throw new StackError({ code: 'FolderUnusable', folder, reason: reasonOf(error) });
  });
  const lock = await acquireLock(join(environment.cacheFolder, 'background.lock'), {
    onWait: options.onWait,
  });
  try {
    return await work(environment);
  } finally {
    await lock.release();
  }
}

function environmentOf(options: BackgroundOptions): StackEnvironment {
  return options.environment ?? readStackConfig();
}

function stateFile(environment: StackEnvironment): string {
  return join(environment.cacheFolder, 'background.json');
}

/** Written by the keeper, as a whole or not at all, before it says that it is ready. */
export async function writeState(
  environment: StackEnvironment,
  state: BackgroundState,
): Promise<void> {
  const file = stateFile(environment);
  // It holds the password of the Postgres server.
  await writeFile(`${file}.draft`, JSON.stringify(state), { mode: 0o600 });
  await rename(`${file}.draft`, file);
}

/**
 * Undefined when no stack is up; also when its keeper is gone, by a restart of the machine, say.
 */
async function readState(environment: StackEnvironment): Promise<BackgroundState | undefined> {
  try {
    const text = await readFile(stateFile(environment), 'utf8');
    const state = JSON.parse(text) as BackgroundState;
    return (await isAlive(state.keeper)) ? state : undefined;
  } catch {
    return undefined;
  }
}

async function startKeeper(
  environment: StackEnvironment,
  progress: StackProgress | undefined,
): Promise<StackDescription> {
  const program = require.resolve('./keeper');
  const loader = program.endsWith('.ts') ? ['--import', 'tsx'] : [];
  const keeper = spawn(process.execPath, [...loader, program], {
    // A session of its own: it outlives this command and its terminal.
    detached: true,
    // Not this command's folder, which may be removed meanwhile.
    cwd: dirname(program),
    stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
  });
  try {
    keeper.send(environment);
    return await listen(keeper, progress);
  } finally {
    // A keeper that is not ready takes this as the request to stop.
    if (keeper.connected) keeper.disconnect();
    keeper.unref();
  }
}

function listen(
  keeper: ChildProcess,
  progress: StackProgress | undefined,
): Promise<StackDescription> {
  return new Promise((resolve, reject) => {
    keeper.on('message', (message: KeeperMessage) => {
      if (message.kind === 'event') progress?.(message.event);
      if (message.kind === 'ready') resolve(message.stack);
      if (message.kind === 'failed') reject(new StackError(message.failure));
      if (message.kind === 'crashed') reject(new Error(message.reason));
    });
    keeper.once('error', reject);
    keeper.once('exit', (code, signal) => {
      reject(new Error(`The keeper of the servers ended early (${signal ?? `code ${code}`}).`));
    });
  });
}

async function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}
