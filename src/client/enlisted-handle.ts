import { setTimeout as pause } from 'node:timers/promises';
import type { Client } from '@temporalio/client';
import { isTwinwriteError, TwinwriteError } from '../domain/errors';
import type { Outcome } from '../domain/outcome';
import { type OutcomeOptions, UpdateHandle } from './update-handle';
import type { WebUi } from './web-ui';

/** A start follows its commit within milliseconds; while Temporal is away, much later. */
const FIRST_PAUSE_MILLIS = 25;
const LONGEST_PAUSE_MILLIS = 1_000;

/** An update that is perhaps not started yet: its transaction was committed a moment ago. */
export class EnlistedHandle<Result> extends UpdateHandle<Result> {
  constructor(client: Client, webUi: WebUi, definition: string, token: string) {
    super(client, webUi, definition, token, undefined);
  }

  /**
   * Waits for the start and then for the outcome, together for `timeoutMillis`.
   *
   * @throws TwinwriteError as any handle's; `UnknownUpdate` when it was not started in time, because
   * its transaction was rolled back perhaps
   */
  override async outcome({ timeoutMillis }: OutcomeOptions = {}): Promise<Outcome<Result>> {
    if (timeoutMillis === undefined) return await this.#outcomeBefore(Infinity);
    try {
      return await this.#outcomeBefore(performance.now() + timeoutMillis);
    } catch (error) {
      if (!isTwinwriteError(error, 'StillRunning')) throw error;
      throw new TwinwriteError('StillRunning', { ...error.fields, timeoutMillis });
    }
  }

  async #outcomeBefore(until: number): Promise<Outcome<Result>> {
    const left = () => until - performance.now();
    for (let pauseMillis = FIRST_PAUSE_MILLIS; ; ) {
      const options = until === Infinity ? {} : { timeoutMillis: Math.max(1, Math.ceil(left())) };
      try {
        return await super.outcome(options);
      } catch (error) {
        if (!isTwinwriteError(error, 'UnknownUpdate') || left() <= pauseMillis) throw error;
      }
      await pause(pauseMillis);
      pauseMillis = Math.min(2 * pauseMillis, LONGEST_PAUSE_MILLIS);
    }
  }
}
