import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { eventually } from '../support/eventually';
import type { World } from '../support/world';

/** Updates whose id begins with this hang in the leg, until their worker is killed. */
export const HANGING = 'hanging-';

export interface RelaySettings {
  readonly postgresUrl: string;
  readonly mongoUri: string;
  /** Where its relay stands still: with rows taken, or with their updates started. */
  readonly stop: 'before the start' | 'before the mark';
}

/** A worker in a process of its own, whose relay stands still where it was told to. */
export interface DoomedRelay {
  created(): Promise<void>;
  standsStill(): Promise<void>;
  kill(): Promise<void>;
}

export function startDoomedRelay(world: World, stop: RelaySettings['stop']): DoomedRelay {
  const { postgresUrl, mongoUri, addresses } = world;
  const settings: RelaySettings = { postgresUrl, mongoUri, stop };
  const program = join(__dirname, 'fixtures', 'relay-worker.ts');
  const child = spawn(process.execPath, ['--import', 'tsx', program], {
    cwd: join(__dirname, '..', '..'),
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
    env: {
      PATH: process.env['PATH'],
      TMPDIR: process.env['TMPDIR'],
      HOME: process.env['HOME'],
      TEMPORAL_ADDRESS: addresses.temporalAddress,
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
    await eventually(() => {
      if (child.exitCode !== null) throw new Error('the worker ended by itself');
      return told.has(message) || undefined;
    }, `the worker says "${message}"`);
  };
  return {
    created: () => hears('created'),
    standsStill: () => hears('stands still'),
    kill: async () => {
      child.kill('SIGKILL');
      await exited;
    },
  };
}
