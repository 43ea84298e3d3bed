import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { openSync, writeFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { ExampleFailure } from './example-failure';
import type { Lifetime } from './lifetime';
import type { Site } from './site';

const ROOT = join(__dirname, '..', '..');
const CLI = join(ROOT, 'dist', 'cli.js');
const END_WITH_PARENT = pathToFileURL(join(ROOT, 'scripts', 'end-with-parent.mjs')).href;

/** A process of the product's own command, `twinwrite`, and the file that has its output. */
export interface ProductProcess {
  readonly child: ChildProcess;
  readonly logFile: string;
}

/** Starts `twinwrite ARGS` for a site. It ends with this process, however that ends. */
export function startProduct(site: Site, name: string, args: readonly string[]): ProductProcess {
  const logFile = join(site.folder, `${name}.log`);
  const log = openSync(logFile, 'w');
  const child = spawn(process.execPath, ['--import', END_WITH_PARENT, CLI, ...args], {
    cwd: ROOT,
    env: environmentOf(site),
    // A group of its own: the terminal's Ctrl-C reaches us alone, and we stop all in order.
    detached: true,
    stdio: ['ignore', log, log, 'ipc'],
  });
  return { child, logFile };
}

/** Runs `twinwrite migrate`: both ledgers, and the search attributes. */
export async function migrate(site: Site, lifetime: Lifetime): Promise<void> {
  const { child, logFile } = startProduct(site, 'migrate', ['migrate']);
  lifetime.onClose(async () => child.kill('SIGKILL'));
  const [code] = (await lifetime.during(once(child, 'exit'))) as [number | null];
  if (code === 0) return;
  throw new ExampleFailure(`"twinwrite migrate" failed: ${await lastLineOf(logFile)}`);
}

/** The line with which a command that failed says why. */
export async function lastLineOf(logFile: string): Promise<string> {
  const text = await readFile(logFile, 'utf8').catch(() => '');
  const lines = text.trimEnd().split('\n');
  return lines.at(-1) || 'it said nothing.';
}

/**
 * Configures the product, and shields it from whatever this machine configures for another use of
 * it.
 */
function environmentOf(site: Site): NodeJS.ProcessEnv {
  const foreign = /^(TEMPORAL_|TWINWRITE_|PG[A-Z]|DATABASE_URL$|MONGODB_URI$)/;
  const inherited = Object.entries(process.env).filter(([name]) => !foreign.test(name));
  const temporalConfig = join(site.folder, 'temporal.toml');
  // Not empty: @temporalio/envconfig fails on a file without a profile.
  writeFileSync(temporalConfig, '[profile.default]\n');
  return {
    ...Object.fromEntries(inherited),
    DATABASE_URL: site.postgresUrl,
    MONGODB_URI: site.mongoUri,
    TEMPORAL_ADDRESS: site.temporalAddress,
    TEMPORAL_NAMESPACE: site.namespace,
    TEMPORAL_CONFIG_FILE: temporalConfig,
    TWINWRITE_TASK_QUEUE: site.name,
    TWINWRITE_HEALTH_PORT: '0',
  };
}
