import { join } from 'node:path';
import { Connection } from '@temporalio/client';
import { findServer } from './find-server';
import { LOOPBACK } from './ports';
import { optionsOf } from './run-program';
import type { RunningServer } from './running-server';
import type { StartContext } from './start-context';
import { startServer } from './started-server';
import { temporalSearch } from './temporal-search';

/** How the Temporal server that is started differs from its defaults. */
export interface TemporalTuning {
  /** Keeps workflows in memory: faster, but lost when the server is killed. Default false. */
  readonly inMemory?: boolean;
  /** Dynamic configuration of the server: its keys, and their values as JSON. */
  readonly dynamicConfig?: Readonly<Record<string, unknown>>;
}

/** Finds Temporal and starts it with its Web UI and the namespace `default`. */
export async function startTemporal(
  context: StartContext,
  tuning: TemporalTuning = {},
): Promise<RunningServer> {
  const found = await findServer(context, temporalSearch(context));
  context.report({ server: 'temporal', phase: 'starting', version: found.version });
  const database = join(context.runtime.path, 'temporal.sqlite');
  const { ports, process } = await startServer(context, {
    server: 'temporal',
    program: found.program,
    portCount: 4,
    args: (free) => argumentsFor(free, database, tuning),
    probe: ([port, uiPort]) => ping(`${LOOPBACK}:${port}`, `http://${LOOPBACK}:${uiPort}`),
    stopSignal: 'TERM',
    graceMillis: 10_000,
    logFile: join(context.runtime.path, 'temporal.log'),
  });
  const [url, webUrl] = [`${LOOPBACK}:${ports[0]}`, `http://${LOOPBACK}:${ports[1]}`];
  const { version, source, program } = found;
  context.report({ server: 'temporal', phase: 'ready', version, source, url, webUrl });
  return { url, webUrl, version, source, program, process };
}

function argumentsFor(
  ports: readonly number[],
  database: string,
  tuning: TemporalTuning,
): string[] {
  const [port, uiPort, httpPort, metricsPort] = ports.map(String);
  const options = {
    ip: LOOPBACK,
    port: port ?? '',
    'ui-port': uiPort ?? '',
    'http-port': httpPort ?? '',
    'metrics-port': metricsPort ?? '',
    'log-level': 'error',
    // A profile of the user's would configure this server, which is nobody's production.
    'env-file': '/dev/null',
  };
  const values = Object.entries(tuning.dynamicConfig ?? {});
  const set = values.map(([key, value]) => `${key}=${JSON.stringify(value)}`);
  return [
    'server',
    'start-dev',
    '--disable-config-file',
    '--disable-config-env',
    ...optionsOf(options),
    ...(tuning.inMemory === true ? [] : databaseArguments(database)),
    ...set.flatMap((pair) => ['--dynamic-config-value', pair]),
  ];
}

/** By default each write is synced to the disk; so it is four times as fast and survives a kill. */
function databaseArguments(database: string): string[] {
  const pragmas = ['journal_mode=WAL', 'synchronous=NORMAL'];
  return ['--db-filename', database, ...pragmas.flatMap((pragma) => ['--sqlite-pragma', pragma])];
}

async function ping(address: string, webUrl: string): Promise<void> {
  const connection = await Connection.connect({ address, connectTimeout: 1_000 });
  try {
    await connection.workflowService.describeNamespace({ namespace: 'default' });
  } finally {
    await connection.close();
  }
  const page = await fetch(webUrl, { signal: AbortSignal.timeout(2_000) });
  await page.arrayBuffer();
  if (!page.ok) throw new Error(`the Web UI answers HTTP ${page.status}`);
}
