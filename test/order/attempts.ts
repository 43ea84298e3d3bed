import pino, { type Logger } from 'pino';

/** One attempt of a leg, as the worker's log tells it. */
export interface Attempt {
  readonly token: string;
  readonly leg: string;
  readonly answer: string;
  readonly err?: { readonly code?: string; readonly message?: string };
}

/** A worker's log that a test reads: every attempt of every leg. */
export function recordAttempts(): { readonly logger: Logger; readonly attempts: Attempt[] } {
  const attempts: Attempt[] = [];
  const write = (line: string) => {
    const entry = JSON.parse(line) as Partial<Attempt>;
    if (entry.leg !== undefined) attempts.push(entry as Attempt);
  };
  return { logger: pino({ level: 'info' }, { write }), attempts };
}
