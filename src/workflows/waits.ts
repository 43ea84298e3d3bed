import { condition, defineSignal, setHandler } from '@temporalio/workflow';

/** Sent by whoever released an entity that this update waits for (clause 7). */
const turnSignal = defineSignal('turn');

/** Sent by an operator who has mended what parked this update. */
const retrySignal = defineSignal('retry');

const FIRST_RETRY_MILLIS = 30_000;
const LAST_RETRY_MILLIS = 10 * 60_000;

/** A signal that may arrive before, while or after somebody waits for it. */
class Bell {
  #rings = 0;
  #heard = 0;

  ring(): void {
    this.#rings += 1;
  }

  /** What rang until now was for somebody else. */
  listen(): void {
    this.#heard = this.#rings;
  }

  readonly hasRung = (): boolean => this.#rings > this.#heard;
}

/** What an update's workflow waits for, beside its steps. */
export class Waits {
  readonly #turn = new Bell();
  readonly #retry = new Bell();
  #retryMillis = FIRST_RETRY_MILLIS;

  constructor() {
    setHandler(turnSignal, () => this.#turn.ring(), {
      description: 'An entity that this update waits for was released',
    });
    setHandler(retrySignal, () => this.#retry.ring(), {
      description: 'What parked this update is mended: try again now',
    });
  }

  /** Called before a claim: being called while the claim runs counts. */
  beginClaim(): void {
    this.#turn.listen();
  }

  /** Without a timer: whoever releases the entity calls, and a worker calls again if that is lost. */
  async forTurn(): Promise<void> {
    await condition(this.#turn.hasRung);
  }

  /** Until an operator says so, or a while has passed: ever longer, up to ten minutes. */
  async forRetry(): Promise<void> {
    this.#retry.listen();
    await condition(this.#retry.hasRung, this.#retryMillis);
    this.#retryMillis = Math.min(2 * this.#retryMillis, LAST_RETRY_MILLIS);
  }
}
