import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { chmod, mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { homedir, tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { readStackEnvironment, type StackEnvironment } from '../../src/stack/environment';
import { StackError, type StackFailure } from '../../src/stack/errors';
import type { StackEvent } from '../../src/stack/events';
import type { RunningServer } from '../../src/stack/running-server';
import { openRuntimeFolder } from '../../src/stack/runtime-folder';
import {
  OFFICIAL_SOURCES,
  type StackSources,
  type StartContext,
} from '../../src/stack/start-context';
import { eventually } from '../support/eventually';

/**
 * Nobody listens on this port (and `fetch` does not refuse it by itself), so every source that is
 * placed there refuses at once.
 */
const REFUSING = 'http://127.0.0.1:5';

export const REFUSING_SOURCES: StackSources = {
  mongoArchives: REFUSING,
  temporalReleases: REFUSING,
  npmRegistry: REFUSING,
  pythonIndex: REFUSING,
  goProxy: REFUSING,
};

/** This machine as it is, which surely has all servers: `npm test` needed them. */
export const HERE = readStackEnvironment(process.env, homedir());

export interface TestContext extends StartContext {
  readonly events: StackEvent[];
  abort(): void;
}

/** A context as `startStack` makes it, for starting one server alone. Closed by `closeAll`. */
export async function openContext(
  environment: Partial<StackEnvironment> = {},
  sources: Partial<StackSources> = {},
): Promise<TestContext> {
  const runtime = await openRuntimeFolder();
  closers.push(() => runtime.close());
  const aborted = new AbortController();
  const events: StackEvent[] = [];
  return {
    environment: { ...HERE, ...environment },
    sources: { ...OFFICIAL_SOURCES, ...sources },
    runtime,
    signal: aborted.signal,
    abort: () => aborted.abort(),
    events,
    report: (event) => events.push(event),
  };
}

const closers: (() => Promise<unknown>)[] = [];

/** For `afterEach`: ends what the test opened, and fails if a runtime folder outlives it. */
export async function closeAll(): Promise<void> {
  for (const close of closers.splice(0).toReversed()) await close();
}

export async function temporaryFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'twinwrite-stack-test-'));
  // As root, a runtime folder is made only where every user may pass.
  await chmod(folder, 0o711);
  closers.push(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

/** Stops the server at the end of the test, whatever becomes of it. */
export async function stopLater(starting: Promise<RunningServer>): Promise<RunningServer> {
  const server = await starting;
  closers.push(async () => server.process?.stop());
  return server;
}

/** The failure of what must fail with a `StackError` whose message is one sentence. */
export async function failureOf(work: Promise<unknown>): Promise<StackFailure> {
  const error = await work.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  if (!(error instanceof StackError)) {
    throw new Error('It should have failed with a StackError', { cause: error });
  }
  requireOneSentence(error.message);
  return error.failure;
}

export function requireOneSentence(message: string): void {
  if (!/^[A-Z][^\n]*\.$/.test(message)) throw new Error(`Not one sentence: ${message}`);
}

/** Waits for a condition, and fails when it does not come true. */
export async function until(
  what: string,
  condition: () => boolean | Promise<boolean>,
  limitMillis = 20_000,
): Promise<void> {
  await eventually(async () => ((await condition()) ? true : undefined), what, limitMillis);
}

export interface Program {
  readonly child: ChildProcess;
  /** What it printed so far, parsed. */
  readonly printed: { phase: string; [field: string]: unknown }[];
  readonly errors: () => string;
  readonly ended: Promise<{ code: number | null; signal: string | null }>;
}

/** Runs a TypeScript program as a process of its own, killed by `closeAll`. */
export function startProgram(file: string, argument: unknown, env: NodeJS.ProcessEnv): Program {
  const child = spawn(process.execPath, ['--import', 'tsx', file, JSON.stringify(argument)], {
    env,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const printed: Program['printed'] = [];
  let errors = '';
  createInterface({ input: child.stdout }).on('line', (line) => {
    printed.push(JSON.parse(line) as Program['printed'][number]);
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    errors += text;
  });
  const ended = once(child, 'close').then(([code, signal]) => ({
    code: code as number | null,
    signal: signal as string | null,
  }));
  closers.push(async () => {
    child.kill('SIGKILL');
    await ended;
  });
  return { child, printed, errors: () => errors, ended };
}

/** Processes whose command line or environment names the text; zombies are none. */
export async function processesNaming(text: string): Promise<string[]> {
  const found: string[] = [];
  for (const id of await readdir('/proc')) {
    if (!/^\d+$/.test(id) || id === String(process.pid)) continue;
    const command = await readFile(`/proc/${id}/cmdline`, 'utf8').catch(() => '');
    if (command.includes(text)) found.push(command.replaceAll('\0', ' '));
  }
  return found;
}

export function isThere(path: string): boolean {
  return existsSync(path);
}
