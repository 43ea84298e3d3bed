import { homedir } from 'node:os';
import { z } from 'zod';
import { TwinwriteError } from './domain/errors';
import { readStackEnvironment, type StackEnvironment } from './stack/environment';

/**
 * The environment, read once into validated and frozen objects. The only reader of `process.env` in
 * `src`. Temporal's own variables (`TEMPORAL_*`, `temporal.toml`) are read by
 * `@temporalio/envconfig`.
 */

const clientSchema = z.object({
  /** Where the pool of workers listens. */
  TWINWRITE_TASK_QUEUE: z.string().min(1).default('twinwrite'),
  /** The address of the Temporal Web UI. */
  TWINWRITE_WEB_UI: z.url().optional(),
});

const storesSchema = z.object({
  DATABASE_URL: z.url({ protocol: /^postgres(ql)?$/, error: 'begins with postgres://' }),
  MONGODB_URI: z
    .string()
    .regex(/^mongodb(\+srv)?:\/\//, 'begins with mongodb:// or mongodb+srv://'),
});

const workerSchema = storesSchema.extend({
  /** Where /live, /ready and /metrics answer; 0 picks a free port. */
  TWINWRITE_HEALTH_PORT: z.coerce.number().int().min(0).max(65_535).default(9_464),
  TWINWRITE_HEALTH_HOST: z.string().min(1).default('127.0.0.1'),
  TWINWRITE_LOG_LEVEL: z.enum(['trace', 'debug', 'info', 'warn', 'error']).default('info'),
  TWINWRITE_POSTGRES_CONNECTIONS: z.coerce.number().int().min(1).max(1_000).default(16),
});

export interface ClientConfig {
  readonly taskQueue: string;
  readonly webUi: string | undefined;
}

/** What the commands take from the environment where nothing else says it. */
export interface CommandConfig {
  /** Nothing when `TWINWRITE_TASK_QUEUE` does not name one. */
  readonly taskQueue: string | undefined;
  readonly postgresUrl: string | undefined;
  readonly mongoUri: string | undefined;
}

export interface StoresConfig {
  readonly postgresUrl: string;
  readonly mongoUri: string;
}

export interface WorkerConfig extends StoresConfig {
  readonly healthPort: number;
  readonly healthHost: string;
  readonly logLevel: 'trace' | 'debug' | 'info' | 'warn' | 'error';
  readonly postgresConnections: number;
}

export function readClientConfig(environment: NodeJS.ProcessEnv = process.env): ClientConfig {
  const config = parse(clientSchema, environment);
  return Object.freeze({ taskQueue: config.TWINWRITE_TASK_QUEUE, webUi: config.TWINWRITE_WEB_UI });
}

export function readCommandConfig(environment: NodeJS.ProcessEnv = process.env): CommandConfig {
  const present = { ...environment };
  for (const name of Object.keys(present)) if (present[name] === '') delete present[name];
  const config = parse(storesSchema.partial(), present);
  return Object.freeze({
    taskQueue: present['TWINWRITE_TASK_QUEUE'],
    postgresUrl: config.DATABASE_URL,
    mongoUri: config.MONGODB_URI,
  });
}

export function readStoresConfig(environment: NodeJS.ProcessEnv = process.env): StoresConfig {
  const config = parse(storesSchema, environment);
  return Object.freeze({ postgresUrl: config.DATABASE_URL, mongoUri: config.MONGODB_URI });
}

/** For what asks PostgreSQL alone. */
export function readLedgerConfig(
  environment: NodeJS.ProcessEnv = process.env,
): Pick<StoresConfig, 'postgresUrl'> {
  const config = parse(storesSchema.pick({ DATABASE_URL: true }), environment);
  return Object.freeze({ postgresUrl: config.DATABASE_URL });
}

export function readWorkerConfig(environment: NodeJS.ProcessEnv = process.env): WorkerConfig {
  const config = parse(workerSchema, environment);
  return Object.freeze({
    postgresUrl: config.DATABASE_URL,
    mongoUri: config.MONGODB_URI,
    healthPort: config.TWINWRITE_HEALTH_PORT,
    healthHost: config.TWINWRITE_HEALTH_HOST,
    logLevel: config.TWINWRITE_LOG_LEVEL,
    postgresConnections: config.TWINWRITE_POSTGRES_CONNECTIONS,
  });
}

/** Where the servers for development and tests come from: `TWINWRITE_STACK_*`, PATH, folders. */
export function readStackConfig(environment: NodeJS.ProcessEnv = process.env): StackEnvironment {
  return readStackEnvironment(environment, homedir());
}

function parse<Schema extends z.ZodType>(schema: Schema, environment: NodeJS.ProcessEnv) {
  const parsed = schema.safeParse(environment);
  if (parsed.success) return parsed.data;
  const problems = parsed.error.issues.map(({ path, message }) => {
    const isMissing = environment[String(path[0])] === undefined;
    return `${path.join('.')}: ${isMissing ? 'it is not set' : message}`;
  });
  throw new TwinwriteError('InvalidConfiguration', {
    problem: `Set these environment variables right: ${problems.join('; ')}`,
  });
}
