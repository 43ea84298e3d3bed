import pino, { type Logger } from 'pino';
import { describeError } from './describe-error';

/**
 * JSON lines on standard output. Fields, not sentences: every line of a leg has `definition`,
 * `token` and `leg`.
 */
export function createLogger(level = 'info'): Logger {
  return withSafeErrors(
    pino({ level, base: { service: 'twinwrite' }, timestamp: pino.stdTimeFunctions.isoTime }),
  );
}

/**
 * The same logger, for lines of ours: whatever its own serializers do, no error that it prints
 * quotes a row.
 */
export function withSafeErrors(logger: Logger): Logger {
  const describe = (error: unknown) => describeError(error);
  return logger.child({}, { serializers: { err: describe, error: describe } });
}
