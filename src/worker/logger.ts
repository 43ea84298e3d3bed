import pino, { type Logger } from 'pino';

/** JSON lines on standard output. Fields, not sentences: every line of a leg has `definition`, `token` and `leg`. */
export function createLogger(level = 'info'): Logger {
  return pino({ level, base: { service: 'twinwrite' }, timestamp: pino.stdTimeFunctions.isoTime });
}
