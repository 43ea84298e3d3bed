import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { makeTelemetryFilterString, Runtime } from '@temporalio/worker';
import type { Logger } from 'pino';

let exporterUrl: string | undefined;

/**
 * Gives the process Temporal's Prometheus exporter, on a free loopback port that `/metrics` reads, and sends Temporal's log lines to ours. Once a process, before any worker
 * or client of Temporal's; an application with a Runtime of its own leaves it out.
 */
export async function installTelemetry(logger: Logger): Promise<void> {
  const port = await freePort();
  Runtime.install({
    logger: temporalLogger(logger),
    telemetryOptions: {
      logging: { filter: makeTelemetryFilterString({ core: 'WARN', other: 'ERROR' }), forward: {} },
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

function temporalLogger(logger: Logger) {
  const write =
    (level: 'trace' | 'debug' | 'info' | 'warn' | 'error') => (message: string, meta?: object) =>
      logger[level](meta ?? {}, message);
  return {
    log: (level: string, message: string, meta?: object) =>
      write(level.toLowerCase() as 'info')(message, meta),
    trace: write('trace'),
    debug: write('debug'),
    info: write('info'),
    warn: write('warn'),
    error: write('error'),
  };
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
