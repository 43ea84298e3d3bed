import { setTimeout as pause } from 'node:timers/promises';
import type { Client } from '@temporalio/client';
import { isTwinwriteError, TwinwriteError } from '../domain/errors';
import type { Outcome } from '../domain/outcome';
import { throwAsTwinwriteError } from './temporal-errors';
import { type OutcomeOptions, UpdateHandle } from './update-handle';
import type { WebUi } from './web-ui';

/** A start follows its commit within milliseconds; while Temporal is away, much later. */
const FIRST_PAUSE_MILLIS = 25;
const LONGEST_PAUSE_MILLIS = 1_000;

/** How long one question may take: at least the first, whatever time its caller has left. */
const ANSWER_WITHIN_MILLIS = { least: 1_000, most: 10_000 };

/** An update that is perhaps not started yet: its transaction was committed a moment ago. */
export class EnlistedHandle<Result> extends UpdateHandle<Result> {
  readonly #client: Client;

  constructor(client: Client, webUi: WebUi, definition: string, token: string) {
    super(client, webUi, definition, token, undefined);
    this.#client = client;
  }

  /**
   * Waits for the start and then for the outcome, together for `timeoutMillis`.
   *
   * @throws TwinwriteError as any handle's; `UnknownUpdate` when it was not started in time, because
   * its transaction was rolled back perhaps
   */
  override async outcome({ timeoutMillis }: OutcomeOptions = {}): Promise<Outcome<Result>> {
    const until = performance.now() + (timeoutMillis ?? Infinity);
    await this.#untilStarted(until);
    if (timeoutMillis === undefined) return await super.outcome();
    try {
      const leftMillis = Math.max(1, Math.ceil(until - performance.now()));
      return await super.outcome({ timeoutMillis: leftMillis });
    } catch (error) {
      if (!isTwinwriteError(error, 'StillRunning')) throw error;
      throw new TwinwriteError('StillRunning', { ...error.fields, timeoutMillis });
    }
  }

  async #untilStarted(until: number): Promise<void> {
    for (let pauseMillis = FIRST_PAUSE_MILLIS; ; ) {
      try {
        await this.#describe(until - performance.now());
        return;
      } catch (error) {
        const isLate = until - performance.now() <= pauseMillis;
        if (!isTwinwriteError(error, 'UnknownUpdate') || isLate) throw error;
      }
      await pause(pauseMillis);
      pauseMillis = Math.min(2 * pauseMillis, LONGEST_PAUSE_MILLIS);
    }
  }

  async #describe(leftMillis: number): Promise<void> {
    const { definition, token } = this;
    const { least, most } = ANSWER_WITHIN_MILLIS;
    await this.#client
      .withDeadline(Date.now() + Math.min(most, Math.max(least, leftMillis)), () =>
        this.#client.workflow.getHandle(this.workflowId).describe(),
      )
      .catch(throwAsTwinwriteError({ definition, token }));
  }
}
