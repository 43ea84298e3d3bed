import { createServer, type RequestListener, type Server } from 'node:http';
import { type AddressInfo, isIPv6 } from 'node:net';
import type { Logger } from 'pino';
import { TwinwriteError } from '../domain/errors';
import type { WorkerMetrics } from './metrics';
import { temporalMetrics } from './telemetry';

export interface HealthOptions {
  /** 0 picks a free one. */
  readonly port: number;
  /** `127.0.0.1` unless given. A container's probes need `0.0.0.0`. */
  readonly host?: string;
}

export interface Health {
  /** Such as `http://127.0.0.1:9464`. */
  readonly url: string;
  close(): Promise<void>;
}

interface Sources {
  /** Says why the worker is not ready, or nothing when it is. */
  readonly findProblem: () => Promise<string | undefined>;
  readonly metrics: WorkerMetrics;
  readonly logger: Logger;
}

/**
 * `/live`: the process answers. `/ready`: the worker takes work, and both stores and Temporal
 * answer; otherwise 503 with the reason. `/metrics`: Temporal's exporter and ours.
 *
 * @throws TwinwriteError `InvalidConfiguration` when it cannot listen there.
 */
export async function startHealthServer(options: HealthOptions, sources: Sources): Promise<Health> {
  const { port: wanted, host = '127.0.0.1' } = options;
  const server = createServer(listener(sources));
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(wanted, host, resolve);
  }).catch(throwUnusable(host, wanted));
  const { port } = server.address() as AddressInfo;
  const url = `http://${isIPv6(host) ? `[${host}]` : host}:${port}`;
  return { url, close: () => close(server) };
}

function throwUnusable(host: string, port: number) {
  return (cause: NodeJS.ErrnoException): never => {
    const why = cause.code === 'EADDRINUSE' ? 'the port is taken' : (cause.code ?? cause.message);
    const problem = `The health server cannot listen on ${host} port ${port}: ${why}. Give it another with TWINWRITE_HEALTH_PORT, or createWorker's health.port; 0 picks a free one.`;
    throw new TwinwriteError('InvalidConfiguration', { problem }, { cause });
  };
}

interface Reply {
  readonly status: number;
  readonly body: string;
  readonly type?: string;
}

const PLAIN = 'text/plain; charset=utf-8';
const PROMETHEUS = 'text/plain; version=0.0.4; charset=utf-8';

function listener({ findProblem, metrics, logger }: Sources): RequestListener {
  const pages: Readonly<Record<string, () => Promise<Reply>>> = {
    '/live': async () => ({ status: 200, body: 'live\n' }),
    '/ready': async () => {
      const problem = await findProblem();
      return problem === undefined
        ? { status: 200, body: 'ready\n' }
        : { status: 503, body: `not ready: ${problem}\n` };
    },
    '/metrics': async () => ({
      status: 200,
      type: PROMETHEUS,
      body: (await metrics.expose()) + (await exported(logger)),
    }),
  };
  return (request, response) => {
    const path = (request.url ?? '').split('?')[0] ?? '';
    const page = Object.hasOwn(pages, path) ? pages[path] : undefined;
    const reply: Promise<Reply> =
      page?.() ?? Promise.resolve({ status: 404, body: '/live, /ready and /metrics are here\n' });
    void reply
      .catch((error: unknown): Reply => {
        logger.warn({ err: error, path }, 'a health request failed');
        return { status: 500, body: 'failed\n' };
      })
      .then(({ status, body, type = PLAIN }) => {
        response.writeHead(status, { 'content-type': type });
        response.end(body);
      });
  };
}

/** Our metrics are told even when Temporal's exporter is silent. */
async function exported(logger: Logger): Promise<string> {
  try {
    return await temporalMetrics();
  } catch (error) {
    logger.warn({ err: error }, "Temporal's metrics exporter does not answer");
    return '';
  }
}

function close(server: Server): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve());
    server.closeAllConnections();
  });
}
