import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { InputOf } from 'twinwrite';
import type { reserve } from './definition';

/** Where the holder's updates go. */
export interface Where {
  readonly temporalAddress: string;
  readonly namespace: string;
  readonly taskQueue: string;
}

export interface Holder {
  readonly processId: number;
  /** How its reservation ended: `applied`, or `refused`. */
  readonly status: string;
  /** As a power cut would. */
  kill(): Promise<void>;
}

/** Starts a process that reserves, and answers once it has. */
export async function startHolder(
  { temporalAddress, namespace, taskQueue }: Where,
  { reservationId, sku, quantity, keptMillis }: InputOf<(typeof reserve)['input']>,
): Promise<Holder> {
  const program = join(__dirname, 'holder.ts');
  const parameters = [reservationId, sku, String(quantity), String(keptMillis)];
  const child = spawn(process.execPath, ['--import', 'tsx', program, ...parameters], {
    cwd: join(__dirname, '..', '..'),
    stdio: ['ignore', 'pipe', 'inherit'],
    env: {
      PATH: process.env['PATH'],
      HOME: process.env['HOME'],
      TMPDIR: process.env['TMPDIR'],
      TEMPORAL_ADDRESS: temporalAddress,
      TEMPORAL_NAMESPACE: namespace,
      TWINWRITE_TASK_QUEUE: taskQueue,
    },
  });
  const exited = once(child, 'exit');
  const kill = async (): Promise<void> => {
    child.kill('SIGKILL');
    await exited;
  };
  const lines = createInterface({ input: child.stdout });
  const [status] = (await Promise.race([
    once(lines, 'line'),
    exited.then(() => ['it ended by itself']),
  ])) as [string];
  return { processId: child.pid ?? 0, status, kill };
}
