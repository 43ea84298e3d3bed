import { constants } from 'node:os';
import type { Logger } from 'pino';
import type { TwinwriteWorker } from '../worker';
import { createLogger, withSafeErrors } from './logger';

const SIGNALS = ['SIGTERM', 'SIGINT'] as const;

/**
 * Runs a worker as a process of a pool should: SIGTERM or SIGINT takes no more work, lets the legs
 * in flight end, and resolves with 0. It resolves with 1 when the worker failed, or when a leg
 * outlived the grace; another worker finishes what it left. A second signal ends the process at
 * once, with 128 and the signal's number.
 *
 * Exit with what it answers: `process.exit(await runUntilSignal(worker))`. A leg that outlived its
 * grace would keep the process alive otherwise.
 */
export async function runUntilSignal(
  worker: TwinwriteWorker,
  options: { readonly logger?: Logger } = {},
): Promise<number> {
  const logger = withSafeErrors(options.logger ?? createLogger());
  let draining = false;
  const onSignal = (signal: (typeof SIGNALS)[number]) => {
    if (draining) {
      logger.error({ signal }, 'second signal: the legs in flight are left to another worker');
      process.exit(128 + constants.signals[signal]);
    }
    draining = true;
    logger.info({ signal }, 'draining; a second signal ends it at once');
    worker.shutdown();
  };
  for (const signal of SIGNALS) process.on(signal, onSignal);
  try {
    await worker.run();
    logger.info('drained');
    return 0;
  } catch (error) {
    logger.error({ err: error }, 'the worker failed; another one takes over what it left');
    return 1;
  } finally {
    for (const signal of SIGNALS) process.off(signal, onSignal);
  }
}
