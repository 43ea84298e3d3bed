import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import type { Readable, Writable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { GUARDIAN_SCRIPT } from './guardian';

/** What the guardian itself may need beyond the grace time before its group is killed. */
const GUARDIAN_SLACK_MILLIS = 2_000;

/** The user a program runs as, when it is not ours. */
export interface RunAs {
  readonly uid: number;
  readonly gid: number;
}

export interface GuardedOptions {
  readonly program: string;
  readonly args: readonly string[];
  readonly env: NodeJS.ProcessEnv;
  readonly folder: string;
  readonly runAs?: RunAs | undefined;
  readonly stopSignal: 'INT' | 'TERM';
  readonly graceMillis: number;
  /** A file descriptor that takes the output, or `pipe` to read it here. */
  readonly output: number | 'pipe';
  /** The runtime folder's pipe, so that the folder outlives the program. */
  readonly holder?: Writable | undefined;
}

/** A program that runs under a guardian (see `guardian.ts`), and so never outlives this process. */
export interface GuardedProcess {
  readonly guardian: ChildProcess;
  /** The program's own process id. */
  readonly processId: number;
  /** The program's exit code, as a shell counts it: 128 and the number for a signal. */
  readonly ended: Promise<number>;
  hasEnded(): boolean;
  /**
   * Stops it, by SIGKILL if it does not end in its grace time. Never throws; may be called twice.
   */
  stop(): Promise<void>;
  /** From here on, it no longer keeps this process from ending. */
  letGo(): void;
}

/** Starts a program under a guardian. A program that is not there ends with code 127. */
export async function startGuarded(options: GuardedOptions): Promise<GuardedProcess> {
  const output = options.output;
  const guardian = spawn(
    '/bin/sh',
    [
      '-c',
      GUARDIAN_SCRIPT,
      'twinwrite-guardian',
      options.stopSignal,
      String(Math.ceil(options.graceMillis / 100)),
      options.program,
      ...options.args,
    ],
    {
      // A group of its own: the terminal's Ctrl-C reaches us alone, and we stop all in order.
      detached: true,
      cwd: options.folder,
      env: options.env,
      stdio: ['pipe', output, output, 'pipe', options.holder ?? 'ignore'],
      ...options.runAs,
    },
  );
  await once(guardian, 'spawn');
  const report = readReport(guardian.stdio[3] as Readable, () => guardian.stdin?.destroy());
  let over = false;
  const ended = once(guardian, 'close')
    .then(() => report.exitCode)
    .finally(() => {
      over = true;
    });
  return {
    guardian,
    processId: await report.processId,
    ended,
    hasEnded: () => over,
    stop: () => stopGuarded(guardian, ended, options.graceMillis),
    letGo: () => setReferenced(guardian, false),
  };
}

/** 137, what a shell says of a killed program, stands for a guardian that could not report. */
function readReport(
  pipe: Readable,
  onExit: () => void,
): { processId: Promise<number>; exitCode: Promise<number> } {
  const lines = createInterface({ input: pipe });
  const seen = { pid: 0, exit: 137 };
  const closed = once(lines, 'close');
  const processId = new Promise<number>((resolve) => {
    lines.on('line', (line) => {
      const [word, number] = line.split(' ');
      if (word === 'pid') resolve((seen.pid = Number(number)));
      if (word !== 'exit') return;
      seen.exit = Number(number);
      onExit();
    });
    lines.once('close', () => resolve(seen.pid));
  });
  return { processId, exitCode: closed.then(() => seen.exit) };
}

async function stopGuarded(
  guardian: ChildProcess,
  ended: Promise<number>,
  graceMillis: number,
): Promise<void> {
  setReferenced(guardian, true);
  // The guardian takes the end of this pipe as the request to stop.
  guardian.stdin?.destroy();
  const limit = new AbortController();
  const late = sleep(graceMillis + GUARDIAN_SLACK_MILLIS, true, { signal: limit.signal }).catch(
    () => false,
  );
  const isLate = await Promise.race([late, ended.then(() => false)]);
  limit.abort();
  if (isLate) killGroup(guardian);
  await ended;
}

function killGroup(guardian: ChildProcess): void {
  if (guardian.pid === undefined) return;
  try {
    process.kill(-guardian.pid, 'SIGKILL');
  } catch {
    // ESRCH: the group ended in this very moment, which is what was wanted.
  }
}

function setReferenced(guardian: ChildProcess, referenced: boolean): void {
  const streams = guardian.stdio as unknown as ({ ref?(): void; unref?(): void } | null)[];
  for (const handle of [guardian, ...streams]) {
    if (referenced) handle?.ref?.();
    else handle?.unref?.();
  }
}
