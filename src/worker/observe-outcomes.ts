import type { InjectedSinks } from '@temporalio/worker';
import type { Logger } from 'pino';
import type { OutcomeSinks } from '../workflows/cross-store-update';
import type { WorkerMetrics } from './metrics';

/**
 * Counts each update once, when its workflow ends with an outcome. Replays are not counted. A
 * worker that is killed in that very moment counts it not at all, and one whose last workflow task
 * has to be run again counts it twice: it is a metric, and the ledger has the truth.
 */
export function observeOutcomes(
  logger: Logger,
  metrics: WorkerMetrics,
): InjectedSinks<OutcomeSinks> {
  return {
    twinwrite: {
      settled: {
        fn: (_info, definition, token, status) => {
          metrics.countOutcome(definition, status);
          logger.info({ definition, token, status }, 'update settled');
        },
        callDuringReplay: false,
      },
    },
  };
}
