import type { Logger } from 'pino';
import type { LegObserver } from '../activities';
import { isTwinwriteError } from '../domain/errors';
import type { WorkerMetrics } from './metrics';

/** An attempt that failed this often is no longer a hiccup. */
const LOUD_ATTEMPT = 5;

/** Tells the log and the metrics of every attempt of a leg. */
export function observeLegs(logger: Logger, metrics: WorkerMetrics): LegObserver {
  return ({ definition, token, leg, attempt, durationMillis, answer, error }) => {
    metrics.observeLeg({ definition, leg, answer, durationMillis });
    const fields = {
      definition,
      token,
      leg,
      attempt,
      durationMillis: Math.round(durationMillis),
      answer,
    };
    if (error === undefined) {
      logger.info(fields, 'leg answered');
      return;
    }
    const isLoud = attempt >= LOUD_ATTEMPT || isTwinwriteError(error);
    logger[isLoud ? 'error' : 'warn']({ ...fields, err: error }, 'leg failed; it is tried again');
  };
}
