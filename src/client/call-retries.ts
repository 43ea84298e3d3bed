import { setTimeout as pause } from 'node:timers/promises';
import { defaultGrpcRetryOptions, makeGrpcRetryInterceptor } from '@temporalio/client';

/** Timers fire in the order of their times, but a millisecond may be rounded away. */
const SLACK_MILLIS = 20;

/**
 * The retries of one connection's calls, as Temporal's client makes them, and a way to end them.
 *
 * Temporal's client retries from a timer that nobody can cancel. A connection that is closed
 * meanwhile throws from that timer, where nobody catches, and that ends the process: a program that
 * gives up while Temporal is away would die instead of going on.
 */
export class CallRetries {
  #isDraining = false;
  #nextRetryAt = 0;

  readonly interceptor = this.#makeInterceptor();

  /** Lets no call be retried any more, and resolves when none is about to be. At most 7 seconds. */
  async drain(): Promise<void> {
    this.#isDraining = true;
    const dueInMillis = this.#nextRetryAt - Date.now();
    if (dueInMillis > 0) await pause(dueInMillis + SLACK_MILLIS);
  }

  #makeInterceptor() {
    const standard = defaultGrpcRetryOptions();
    return makeGrpcRetryInterceptor({
      retryableDecider: (attempt, status) =>
        !this.#isDraining && standard.retryableDecider(attempt, status),
      delayFunction: (attempt, status) => {
        const delayMillis = standard.delayFunction(attempt, status);
        this.#nextRetryAt = Math.max(this.#nextRetryAt, Date.now() + delayMillis);
        return delayMillis;
      },
    });
  }
}
