import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { eventually } from '../support/eventually';
import type { World } from '../support/world';

export interface DoomedSettings {
  readonly postgresUrl: string;
  readonly mongoUri: string;
  /** Where it stops: a point and a token, such as `mongo 0198…`. */
  readonly stops: readonly string[];
}

/** A worker in a process of its own, which the test steers and kills. */
export interface DoomedWorker {
  readonly pid: number;
  created(): Promise<void>;
  /** Waits until an update stands at this stop. */
  reached(stop: string): Promise<void>;
  open(stop: string): void;
  kill(): Promise<void>;
}

const PROGRAM = join(__dirname, 'fixtures', 'lines-worker.ts');

export function startDoomedWorker(
  world: World,
  temporalAddress: string,
  stops: readonly string[],
): DoomedWorker {
  const { postgresUrl, mongoUri } = world;
  const settings: DoomedSettings = { postgresUrl, mongoUri, stops };
  const child = spawn(process.execPath, ['--import', 'tsx', PROGRAM], {
    cwd: join(__dirname, '..', '..'),
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
    env: {
      PATH: process.env['PATH'],
      TMPDIR: process.env['TMPDIR'],
      HOME: process.env['HOME'],
      TEMPORAL_ADDRESS: temporalAddress,
      TWINWRITE_TASK_QUEUE: world.name,
      WORKER_SETTINGS: JSON.stringify(settings),
    },
  });
  const told = new Set<unknown>();
  child.on('message', (message) => told.add(message));
  const exited = new Promise<void>((resolve) => {
    child.once('exit', () => resolve());
  });
  const hears = async (message: string) => {
    await eventually(
      () => {
        if (child.exitCode !== null) throw new Error('the worker ended by itself');
        return told.has(message) || undefined;
      },
      `the worker says "${message}"`,
      // It is started, which takes its time on a busy machine.
      60_000,
    );
  };
  return {
    pid: child.pid ?? 0,
    created: () => hears('created'),
    reached: hears,
    open: (stop) => child.send(`open ${stop}`),
    kill: async () => {
      child.kill('SIGKILL');
      await exited;
    },
  };
}
