import { type ErrorFields, TwinwriteError } from '../domain/errors';

/**
 * What is written into a stopped store, as JSON, and into the other one as well: one of the two may
 * be restored once more.
 */
export interface Stop {
  readonly store: ErrorFields['StoresStopped']['store'];
  readonly ticks: number;
  /**
   * The highest epoch of the two stores when they were stopped. A store in a later one was let go
   * since, and must not be stopped by somebody who was slow.
   */
  readonly epoch: number;
  readonly since: string;
}

export function stoppedError({ store, ticks, since }: Stop): TwinwriteError<'StoresStopped'> {
  return new TwinwriteError('StoresStopped', { store, ticks, since });
}

export function parseStop(text: string): Stop {
  return JSON.parse(text) as Stop;
}

/**
 * A store is not as it was found last: it was restarted, promoted or restored. Which of them says a
 * check of both stores, and nothing runs before. Retried.
 */
export class StoreUnverifiedError extends Error {
  override readonly name = 'StoreUnverifiedError';

  constructor(readonly store: 'PostgreSQL' | 'MongoDB') {
    super(`${store} may have gone back in time; both stores have to be compared first`);
  }
}
