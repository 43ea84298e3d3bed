import type { Logger } from 'pino';
import type { LegObserver } from '../activities';
import { isCallerCode, isTwinwriteError } from '../domain/errors';
import { errorCodeOf } from './describe-error';
import type { WorkerMetrics } from './metrics';

/** An attempt that failed this often is no longer a hiccup. */
const LOUD_ATTEMPT = 5;

/** Tells the log and the metrics of every attempt of a leg. */
export function observeLegs(logger: Logger, metrics: WorkerMetrics): LegObserver {
  return ({ definition, token, leg, driver, attempt, durationMillis, answer, error }) => {
    metrics.observeLeg({ definition, leg, answer, durationMillis });
    const fields = {
      definition,
      token,
      leg,
      driver,
      attempt,
      durationMillis: Math.round(durationMillis),
      answer,
    };
    if (error === undefined) {
      logger.info(fields, 'leg answered');
      return;
    }
    metrics.countFailure({ definition, leg, code: errorCodeOf(error) });
    if (answer === 'parked') {
      metrics.countParked({ definition, leg, code: errorCodeOf(error) });
      logger.error({ ...fields, err: error }, 'update parked: it needs somebody');
      return;
    }
    if (isTheCallers(error)) {
      logger.warn({ ...fields, err: error }, 'leg refused the request; its caller has to mend it');
      return;
    }
    const isLoud = attempt >= LOUD_ATTEMPT || isTwinwriteError(error);
    logger[isLoud ? 'error' : 'warn']({ ...fields, err: error }, 'leg failed; it is tried again');
  };
}

function isTheCallers(error: unknown): boolean {
  return isTwinwriteError(error) && isCallerCode(error.code);
}
