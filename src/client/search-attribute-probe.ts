import type { Client } from '@temporalio/client';
import { missingSearchAttributes } from './register-search-attributes';

/** They may be registered while this process runs; a start without them is no harm meanwhile. */
const ASK_AGAIN_AFTER_MILLIS = 60_000;

/**
 * Asks whether the namespace has our search attributes. Without the right to ask, the answer is no,
 * and everything works without them.
 */
export class SearchAttributeProbe {
  #registered: Promise<boolean> | undefined;
  #askedAt = 0;

  constructor(private readonly client: Client) {}

  async areRegistered(): Promise<boolean> {
    if (this.#registered === undefined || this.#isStale()) {
      this.#askedAt = performance.now();
      this.#registered = this.#ask();
    }
    const registered = await this.#registered;
    // A yes stays true.
    if (registered) this.#askedAt = Number.POSITIVE_INFINITY;
    return registered;
  }

  #isStale(): boolean {
    return performance.now() - this.#askedAt > ASK_AGAIN_AFTER_MILLIS;
  }

  async #ask(): Promise<boolean> {
    try {
      return (await missingSearchAttributes(this.client)).length === 0;
    } catch {
      return false;
    }
  }
}
