import type { AddressInfo } from 'node:net';
import { createServer } from 'node:net';
import {
  type LogMetadata,
  makeTelemetryFilterString,
  Runtime,
  type Logger as TemporalLogger,
} from '@temporalio/worker';
import type { Logger } from 'pino';
import { withSafeErrors } from './logger';

let exporterUrl: string | undefined;

/**
 * Gives the process Temporal's Prometheus exporter, on a free loopback port that `/metrics` reads,
 * and sends Temporal's log lines to `logger`. Once a process, before any worker or connection of
 * Temporal's. `createWorker` never does it: the Runtime belongs to the application, and one that
 * has its own leaves this out.
 *
 * Without either, Temporal prints its own lines to standard error and exports no metrics.
 */
export async function installTelemetry(logger: Logger): Promise<void> {
  const port = await freePort();
  Runtime.install({
    logger: temporalLogger(withSafeErrors(logger)),
    // `runUntilSignal` listens to them: two listeners would drain twice.
    shutdownSignals: [],
    telemetryOptions: {
      logging: { filter: makeTelemetryFilterString({ core: 'WARN', other: 'ERROR' }), forward: {} },
      // Names and units stay Temporal's own: its dashboards and alerts expect them.
      metrics: { prometheus: { bindAddress: `127.0.0.1:${port}` } },
    },
  });
  exporterUrl = `http://127.0.0.1:${port}/metrics`;
}

/** What Temporal's exporter has to say, or nothing where there is none. */
export async function temporalMetrics(): Promise<string> {
  if (exporterUrl === undefined) return '';
  const response = await fetch(exporterUrl, { signal: AbortSignal.timeout(2_000) });
  return await response.text();
}

type Level = 'trace' | 'debug' | 'info' | 'warn' | 'error';

function temporalLogger(logger: Logger): TemporalLogger {
  const write =
    (level: Level) =>
    (message: string, meta: LogMetadata = {}) => {
      logger[levelOf(level, meta)]({ ...meta, component: 'temporal' }, message);
    };
  return {
    log: (level, message, meta) => write(level.toLowerCase() as Level)(message, meta),
    trace: write('trace'),
    debug: write('debug'),
    info: write('info'),
    warn: write('warn'),
    error: write('error'),
  };
}

/**
 * Temporal tells of its states and of every attempt of an activity, but not of definition, token
 * and leg, as our own lines do: once is enough. What it warns of stays.
 */
function levelOf(level: Level, meta: LogMetadata): Level {
  const isOfAnAttempt = meta['sdkComponent'] === 'worker' && 'activityId' in meta;
  return level === 'info' || isOfAnAttempt ? 'debug' : level;
}

async function freePort(): Promise<number> {
  return await new Promise((resolve, reject) => {
    const probe = createServer();
    probe.once('error', reject);
    probe.listen(0, '127.0.0.1', () => {
      const { port } = probe.address() as AddressInfo;
      probe.close(() => resolve(port));
    });
  });
}
