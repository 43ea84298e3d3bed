import { type ChildProcess, spawn } from 'node:child_process';
import { join } from 'node:path';
import type { World } from '../support/world';

const ROOT = join(__dirname, '..', '..');

/** The configuration of the orders example, as an application has it. */
export const ORDERS_CONFIG = join(ROOT, 'examples', 'orders', 'twinwrite.config.ts');

export interface CliResult {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface CliOptions {
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
  /** What it reads from standard input. */
  readonly input?: string;
}

/**
 * Starts the real command as it is installed; `npm test` has built it. Only what a test names
 * reaches its environment.
 */
export function startCli(args: readonly string[], options: CliOptions = {}): ChildProcess {
  return spawn(process.execPath, [join(ROOT, 'dist', 'cli.js'), ...args], {
    cwd: options.cwd ?? ROOT,
    stdio: ['pipe', 'pipe', 'pipe'],
    env: {
      PATH: process.env['PATH'],
      HOME: process.env['HOME'],
      // An application resolves 'twinwrite' from its node_modules; a configuration in a temporary
      // folder has none.
      JITI_ALIAS: JSON.stringify({ twinwrite: join(ROOT, 'dist', 'index.js') }),
      ...options.env,
    },
  });
}

export async function runCli(
  args: readonly string[],
  options: CliOptions = {},
): Promise<CliResult> {
  const child = startCli(args, options);
  let stdout = '';
  let stderr = '';
  child.stdout?.setEncoding('utf8').on('data', (text: string) => (stdout += text));
  child.stderr?.setEncoding('utf8').on('data', (text: string) => (stderr += text));
  child.stdin?.end(options.input ?? '');
  return await new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code) => resolve({ code, stdout, stderr }));
  });
}

/** What names a world's servers to the product. */
export function environmentOf(world: World): Record<string, string> {
  return {
    DATABASE_URL: world.postgresUrl,
    MONGODB_URI: world.mongoUri,
    TEMPORAL_ADDRESS: world.addresses.temporalAddress,
    TWINWRITE_TASK_QUEUE: world.name,
    ...(world.addresses.temporalWebUrl === undefined
      ? {}
      : { TWINWRITE_WEB_UI: world.addresses.temporalWebUrl }),
  };
}
