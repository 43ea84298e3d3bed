import { createServer, type RequestListener, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Logger } from 'pino';
import type { WorkerMetrics } from './metrics';
import { temporalMetrics } from './telemetry';

export interface HealthOptions {
  /** 0 picks a free one. */
  readonly port: number;
  /** `127.0.0.1` unless given. */
  readonly host?: string;
}

export interface Health {
  /** Such as `http://127.0.0.1:9464`. */
  readonly url: string;
  close(): Promise<void>;
}

interface Sources {
  /** Says why the worker is not ready, or nothing when it is. */
  readonly ready: () => Promise<string | undefined>;
  readonly metrics: WorkerMetrics;
  readonly logger: Logger;
}

/** `/live`: the process answers. `/ready`: the worker polls and both stores answer. `/metrics`: Temporal's exporter and ours. */
export async function startHealthServer(options: HealthOptions, sources: Sources): Promise<Health> {
  const host = options.host ?? '127.0.0.1';
  const server = createServer(listener(sources));
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(options.port, host, resolve);
  });
  const { port } = server.address() as AddressInfo;
  return { url: `http://${host}:${port}`, close: () => close(server) };
}

function listener({ ready, metrics, logger }: Sources): RequestListener {
  const answers: Record<string, () => Promise<{ status: number; body: string }>> = {
    '/live': async () => ({ status: 200, body: 'live\n' }),
    '/ready': async () => {
      const problem = await ready();
      return problem === undefined
        ? { status: 200, body: 'ready\n' }
        : { status: 503, body: `${problem}\n` };
    },
    '/metrics': async () => ({
      status: 200,
      body: (await metrics.expose()) + (await temporalMetrics()),
    }),
  };
  return (request, response) => {
    const answer = answers[(request.url ?? '').split('?')[0] ?? ''];
    const reply =
      answer?.() ?? Promise.resolve({ status: 404, body: '/live, /ready and /metrics are here\n' });
    void reply
      .catch((error: unknown) => {
        logger.warn({ err: error, path: request.url }, 'health request failed');
        return { status: 500, body: 'failed\n' };
      })
      .then(({ status, body }) => {
        response.writeHead(status, { 'content-type': 'text/plain; version=0.0.4; charset=utf-8' });
        response.end(body);
      });
  };
}

function close(server: Server): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve());
    server.closeAllConnections();
  });
}
