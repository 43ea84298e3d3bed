import { Command } from 'commander';
import { wholeNumber, withConfig, withTaskQueue } from '../options';
import type * as RunWorker from '../worker/run-worker';

export interface WorkerCommandOptions {
  readonly config: string;
  readonly taskQueue?: string;
  readonly healthPort?: number;
}

export function workerCommand(): Command {
  const command = new Command('worker')
    .summary('run a worker of the pool')
    .description(
      'Run a worker of the pool: it takes updates from Temporal and writes both stores.\n' +
        'SIGTERM and SIGINT drain it: legs in flight end, nothing new is taken. It may be killed at any moment.\n' +
        'Its log is JSON lines on standard output.',
    )
    .addHelpText('after', DETAILS);
  withTaskQueue(withConfig(command))
    .option(
      '-p, --health-port <port>',
      'where /live, /ready and /metrics answer; 0 picks a free one (default: TWINWRITE_HEALTH_PORT, then 9464)',
      wholeNumber(0, 65_535),
    )
    .option('--json', 'the log is JSON lines in any case; accepted so that every command takes it')
    .action(async (options: WorkerCommandOptions) => {
      // Loaded when it is needed: help must not wait for Temporal's native library.
      const { runWorker } = require('../worker/run-worker') as typeof RunWorker;
      await runWorker(options);
    });
  return command;
}

const DETAILS = `
Environment:
  DATABASE_URL, MONGODB_URI       both stores; run "twinwrite migrate" on them once
  TEMPORAL_…, temporal.toml       where Temporal is
  TWINWRITE_HEALTH_HOST           the address that the health port listens on (default: 127.0.0.1)
  TWINWRITE_LOG_LEVEL             trace, debug, info, warn or error (default: info)
  TWINWRITE_POSTGRES_CONNECTIONS  how many legs run at once (default: 16)

Exit codes: 0 drained after a signal, 1 failed (a supervisor starts it anew), 2 wrong command line or config file.

Examples:
  $ twinwrite worker
  $ twinwrite worker --config config/twinwrite.config.ts --task-queue shop --health-port 0`;
