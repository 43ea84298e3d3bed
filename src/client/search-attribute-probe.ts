import type { Client } from '@temporalio/client';
import { SEARCH_ATTRIBUTES } from '../domain/search-attributes';

/** Asks once whether the namespace has our search attributes. Without the right to ask, the answer is no, and everything works without them. */
export class SearchAttributeProbe {
  #registered: Promise<boolean> | undefined;

  constructor(private readonly client: Client) {}

  async areRegistered(): Promise<boolean> {
    this.#registered ??= this.#ask();
    const registered = await this.#registered;
    // They may be registered while this process runs: a no is asked again, a yes is kept.
    if (!registered) this.#registered = undefined;
    return registered;
  }

  async #ask(): Promise<boolean> {
    try {
      const answer = await this.client.connection.workflowService.getSearchAttributes({});
      return SEARCH_ATTRIBUTES.every(({ name }) => name in answer.keys);
    } catch {
      return false;
    }
  }
}
