import { readWorkerConfig } from '../../config';
import { createWorker, installTelemetry, runUntilSignal } from '../../worker';
import { createLogger } from '../../worker/logger';
import type { WorkerCommandOptions } from '../commands/worker';
import { EXIT } from '../failure';
import { loadConfig } from '../load-config';
import { taskQueueOf } from '../options';
import { openMongo, openPostgres } from '../stores';
import { checkTemporalSettings } from '../temporal';

/** One worker over the stores of the environment, until a signal has drained it. */
export async function runWorker(options: WorkerCommandOptions): Promise<void> {
  const environment = readWorkerConfig();
  checkTemporalSettings();
  const config = await loadConfig(options.config);
  const logger = createLogger(environment.logLevel);
  await installTelemetry(logger);
  const postgres = await openPostgres(environment.postgresUrl, environment.postgresConnections);
  try {
    const mongo = await openMongo(environment.mongoUri);
    try {
      const { updates } = config;
      const taskQueue = taskQueueOf(options, config);
      const port = options.healthPort ?? environment.healthPort;
      const health = { port, host: environment.healthHost };
      const projections = config.projections ?? [];
      const stores = { postgres, mongo };
      const worker = await createWorker({
        updates,
        projections,
        ...stores,
        logger,
        taskQueue,
        health,
      });
      const names = updates.map(({ name }) => name);
      logger.info({ taskQueue, updates: names, health: worker.health?.url }, 'worker started');
      const code = await runUntilSignal(worker, { logger });
      // A leg that outlived its grace holds a connection, and closing the pools would wait for it.
      if (code !== EXIT.ok) process.exit(code);
    } finally {
      await mongo.close();
    }
  } finally {
    await postgres.end();
  }
}
