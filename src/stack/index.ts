import { readStackConfig } from '../config';
import type { StackEnvironment } from './environment';
import { type ServerName, StackError } from './errors';
import type { ServerSource, StackProgress } from './events';
import { checkMongo, checkPostgres, checkTemporal } from './given-servers';
import { type MongoTuning, startMongo } from './mongo-server';
import { type PostgresTuning, startPostgres } from './postgres-server';
import { withoutPassword } from './reasons';
import type { RunningServer } from './running-server';
import { openRuntimeFolder } from './runtime-folder';
import { OFFICIAL_SOURCES, type StackSources, type StartContext } from './start-context';
import { stopOnSignals } from './stop-on-signals';
import { startTemporal, type TemporalTuning } from './temporal-server';

export type { StackEnvironment } from './environment';
export {
  type Attempt,
  describeStackError,
  type ServerName,
  StackError,
  type StackErrorCode,
  type StackFailure,
} from './errors';
export type { ServerSource, StackEvent, StackProgress } from './events';
export type { MongoTuning } from './mongo-server';
export type { PostgresTuning } from './postgres-server';
export { renderProgress } from './render-progress';
export type { StackSources } from './start-context';
export type { TemporalTuning } from './temporal-server';

export interface StackOptions {
  /** Is told what happens; `renderProgress` makes one that writes to a terminal or a log. */
  readonly progress?: StackProgress;
  /** Aborting it while the stack starts stops everything, and `startStack` throws `Aborted`. */
  readonly signal?: AbortSignal;
  readonly postgres?: PostgresTuning;
  readonly mongo?: MongoTuning;
  readonly temporal?: TemporalTuning;
  /** Other places to fetch from, such as a mirror. */
  readonly sources?: Partial<StackSources>;
  /** Default: what the environment of this process says. */
  readonly environment?: StackEnvironment;
}

/** What is known of each server of a stack. */
export interface StackServer {
  readonly version: string;
  readonly source: ServerSource;
  /** The server's own process; missing when the server was given, and not ours to harm. */
  readonly processId?: number;
}

/** Three servers that are ready. */
export interface Stack {
  readonly postgres: StackServer & { readonly url: string };
  readonly mongo: StackServer & { readonly uri: string };
  readonly temporal: StackServer & {
    readonly address: string;
    readonly webUrl?: string;
    /** Temporal's own command line, which the server is part of; missing when it was given. */
    readonly program?: string;
  };
  /** Holds the data and the logs of what was started; removed by `stop`. */
  readonly folder: string;
  /** Stops what was started, removes its data, and never throws. May be called twice. */
  stop: () => Promise<void>;
}

/**
 * Starts PostgreSQL, a MongoDB replica set and Temporal with its Web UI, at the same time, each
 * from the first source that works: named by the environment, installed, kept in the cache,
 * fetched.
 *
 * What was started ends with this process, however that ends, and its data is removed; on Ctrl-C
 * and SIGTERM before the process ends, unless the program has its own handler, which calls `stop`.
 * A server that the environment names is checked, used and never stopped. The first start on a
 * machine may take minutes, while things are fetched or built; later ones take seconds.
 *
 * Throws `StackError`, after everything that was started has ended.
 */
export async function startStack(options: StackOptions = {}): Promise<Stack> {
  const environment = options.environment ?? readStackConfig();
  requireSupportedPlatform(environment);
  const runtime = await openRuntimeFolder();
  const aborted = new AbortController();
  const context: StartContext = {
    environment,
    sources: { ...OFFICIAL_SOURCES, ...options.sources },
    runtime,
    signal: options.signal ? AbortSignal.any([options.signal, aborted.signal]) : aborted.signal,
    report: (event) => options.progress?.(event),
  };
  const starting = startServers(context, options, () => aborted.abort());
  const stop = once(async () => {
    aborted.abort();
    const results = await Promise.allSettled(starting);
    const started = results.filter((result) => result.status === 'fulfilled');
    await Promise.all(started.map(async ({ value }) => value.process?.stop()));
    await runtime.close();
    forget();
  });
  const forget = stopOnSignals(stop);
  try {
    const [postgres, mongo, temporal] = await Promise.all(starting);
    return describeStack(postgres, mongo, temporal, runtime.path, stop);
  } catch (error) {
    await stop();
    if (error instanceof StackError) throw error;
    if (context.signal.aborted) throw new StackError({ code: 'Aborted' }, { cause: error });
    throw error;
  }
}

type Starting = [Promise<RunningServer>, Promise<RunningServer>, Promise<RunningServer>];

/**
 * All at the same time; the first that fails makes the others give up, and its error is the one.
 */
function startServers(context: StartContext, options: StackOptions, giveUp: () => void): Starting {
  const { postgresUrl, mongoUri, temporalAddress } = context.environment;
  const given = (server: ServerName, check: Promise<RunningServer>): Promise<RunningServer> =>
    check.then((found) => reportGiven(context, server, found));
  const starting: Starting = [
    postgresUrl === undefined
      ? startPostgres(context, options.postgres)
      : given('postgres', checkPostgres(postgresUrl)),
    mongoUri === undefined
      ? startMongo(context, options.mongo)
      : given('mongo', checkMongo(mongoUri)),
    temporalAddress === undefined
      ? startTemporal(context, options.temporal)
      : given('temporal', checkTemporal(temporalAddress)),
  ];
  for (const server of starting) server.catch(giveUp);
  return starting;
}

function reportGiven(
  context: StartContext,
  server: ServerName,
  found: RunningServer,
): RunningServer {
  const { version, source } = found;
  context.report({ server, phase: 'ready', version, source, url: withoutPassword(found.url) });
  return found;
}

function describeStack(
  postgres: RunningServer,
  mongo: RunningServer,
  temporal: RunningServer,
  folder: string,
  stop: () => Promise<void>,
): Stack {
  const { webUrl, program } = temporal;
  return {
    postgres: { ...describeServer(postgres), url: postgres.url },
    mongo: { ...describeServer(mongo), uri: mongo.url },
    temporal: {
      ...describeServer(temporal),
      address: temporal.url,
      ...(webUrl === undefined ? {} : { webUrl }),
      ...(program === undefined ? {} : { program }),
    },
    folder,
    stop,
  };
}

function describeServer({ version, source, process: own }: RunningServer): StackServer {
  return { version, source, ...(own === undefined ? {} : { processId: own.processId }) };
}

/** Whatever platform we are on, servers that are all given can be used. */
function requireSupportedPlatform(environment: StackEnvironment): void {
  const { postgresUrl, mongoUri, temporalAddress } = environment;
  if (process.platform === 'linux' || process.platform === 'darwin') return;
  if ([postgresUrl, mongoUri, temporalAddress].includes(undefined)) {
    throw new StackError({ code: 'UnsupportedPlatform', platform: process.platform });
  }
}

function once(work: () => Promise<void>): () => Promise<void> {
  let result: Promise<void> | undefined;
  return () => (result ??= work());
}
