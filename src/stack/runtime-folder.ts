import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, mkdtemp, realpath, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import type { Writable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { StackError } from './errors';
import { SWEEPER_SCRIPT } from './guardian';
import { codeOf, reasonOf } from './reasons';

const SWEEP_LIMIT_MILLIS = 30_000;

/** The prefix of every runtime folder, by which a test can look for one that was left behind. */
const RUNTIME_FOLDER_PREFIX = 'twinwrite-stack-';

/**
 * The folder that holds the servers' data and logs. It is removed when `close` is called, and also
 * when the process that opened it ends in any other way, after its servers have ended.
 */
export interface RuntimeFolder {
  readonly path: string;
  /** Handed to each guardian: while one holds it, the folder stays. */
  readonly holder: Writable;
  close(): Promise<void>;
}

/**
 * Opens a new one. Every user of the machine may pass through it, as Postgres needs when we are
 * root.
 */
export async function openRuntimeFolder(): Promise<RuntimeFolder> {
  const path = await createFolder();
  const sweeper = spawn('/bin/sh', ['-c', SWEEPER_SCRIPT, 'twinwrite-sweeper', path], {
    // A session of its own: the terminal's Ctrl-C must not end the sweeper before its work.
    detached: true,
    cwd: '/',
    stdio: ['pipe', 'ignore', 'ignore'],
  });
  const holder = sweeper.stdin;
  if (holder === null) throw new Error('unreachable: the sweeper was started with a pipe');
  await once(sweeper, 'spawn');
  // The folder must not keep a program alive that has nothing else to do: its end sweeps too.
  sweeper.unref();
  return { path, holder, close: () => sweep(sweeper, holder) };
}

async function createFolder(): Promise<string> {
  const parent = await parentForAll();
  try {
    const path = await mkdtemp(join(parent, RUNTIME_FOLDER_PREFIX));
    await chmod(path, 0o711);
    return path;
  } catch (error) {
    if (codeOf(error) === 'ENOSPC') {
      throw new StackError({ code: 'DiskFull', folder: parent, log: '' }, { cause: error });
    }
    throw new StackError(
      { code: 'FolderUnusable', folder: parent, reason: reasonOf(error) },
      { cause: error },
    );
  }
}

/**
 * As root, Postgres runs as another user, who may not reach a private TMPDIR; then the usual
 * folders serve. Everybody else takes TMPDIR as it is.
 */
async function parentForAll(): Promise<string> {
  if (process.getuid?.() !== 0) return tmpdir();
  for (const candidate of [tmpdir(), '/tmp', '/var/tmp']) {
    if (await isOpenToAll(candidate)) return candidate;
  }
  return tmpdir();
}

/** Whether every user may pass through this folder and through all those above it. */
export async function isOpenToAll(folder: string): Promise<boolean> {
  try {
    let path = await realpath(folder);
    for (;;) {
      if (((await stat(path)).mode & 0o001) === 0) return false;
      if (path === dirname(path)) return true;
      path = dirname(path);
    }
  } catch {
    return false;
  }
}

async function sweep(sweeper: ChildProcess, holder: Writable): Promise<void> {
  if (sweeper.exitCode !== null || sweeper.signalCode !== null) return;
  sweeper.ref();
  const ended = once(sweeper, 'exit');
  // Not `end`, which would shut the pipe down for the guardians that still hold it.
  holder.destroy();
  const limit = new AbortController();
  await Promise.race([
    ended,
    sleep(SWEEP_LIMIT_MILLIS, undefined, { signal: limit.signal }).catch(() => undefined),
  ]);
  limit.abort();
}
