import { type ChildProcess, spawn } from 'node:child_process';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { eventually } from './eventually';
import { startTcpProxy, type TcpProxy } from './tcp-proxy';
import type { World } from './world';

interface Line {
  readonly msg?: string;
  readonly id?: string;
  readonly token?: string;
  readonly url?: string;
}

/** A worker in a process of its own, which can be frozen and forgotten. */
export interface StoppingWorker {
  readonly child: ChildProcess;
  readonly exited: Promise<unknown>;
  ready(): Promise<void>;
  /** Waits until the update stands where its id says. */
  stopped(id: string): Promise<void>;
  /**
   * SIGSTOP. Temporal is cut off as well: the polls of a frozen process would swallow the tasks that
   * are meant for the next worker.
   */
  freeze(): void;
  /** SIGCONT, and what stopped goes on. */
  thaw(): void;
  /** Waits until the frozen attempt of the update has ended, whatever it answers. */
  attemptEnded(id: string): Promise<void>;
  close(): Promise<void>;
}

export interface StoppingWorkerSettings {
  readonly postgresUrl: string;
  readonly mongoUri: string;
  readonly legTimeoutMillis: number;
}

const ROOT = join(__dirname, '..', '..');

export async function startStoppingWorker(
  world: World,
  settings: StoppingWorkerSettings,
): Promise<StoppingWorker> {
  const [host = '', port] = world.addresses.temporalAddress.split(':');
  const temporal = await startTcpProxy({ host, port: Number(port) });
  const { child, lines, stderr } = startProcess(world, temporal, settings);
  const exited = new Promise((resolve) => {
    child.once('close', resolve);
  });
  const seen = async (isIt: (line: Line) => boolean, what: string) =>
    await eventually(() => {
      if (child.exitCode !== null) throw new Error(`the worker exited: ${stderr()}`);
      return lines.find(isIt);
    }, what);
  let linesBefore = 0;
  return {
    child,
    exited,
    ready: async () => {
      const { url } = await seen(({ msg }) => msg === 'worker created', 'the worker is created');
      await eventually(
        async () => (await fetch(`${url}/ready`)).ok || undefined,
        'the worker is ready',
      );
    },
    stopped: async (id) => {
      await seen((line) => line.msg === 'stopped' && line.id === id, `${id} stands still`);
    },
    freeze: () => {
      child.kill('SIGSTOP');
      linesBefore = lines.length;
      temporal.cut();
    },
    thaw: () => {
      temporal.mend();
      child.kill('SIGCONT');
      child.stdin?.write('go on\n');
    },
    attemptEnded: async (id) => {
      await seen(
        (line) => line.token === id && lines.indexOf(line) >= linesBefore,
        `the attempt of ${id} ended`,
      );
    },
    close: async () => {
      child.kill('SIGKILL');
      await exited;
      await temporal.close();
    },
  };
}

function startProcess(world: World, temporal: TcpProxy, settings: StoppingWorkerSettings) {
  const program = join(ROOT, 'test', 'faults', 'fixtures', 'stopping-worker.ts');
  const child = spawn(process.execPath, ['--import', 'tsx', program], {
    cwd: ROOT,
    stdio: ['pipe', 'pipe', 'pipe'],
    env: {
      PATH: process.env['PATH'],
      TMPDIR: process.env['TMPDIR'],
      HOME: process.env['HOME'],
      TEMPORAL_ADDRESS: `127.0.0.1:${temporal.port}`,
      TWINWRITE_TASK_QUEUE: world.name,
      WORKER_SETTINGS: JSON.stringify({ ...settings, appName: world.name }),
    },
  });
  const lines: Line[] = [];
  let stderr = '';
  createInterface({ input: child.stdout }).on('line', (line) => lines.push(JSON.parse(line)));
  child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString()));
  return { child, lines, stderr: () => stderr };
}
