import type { Logger } from 'pino';

/**
 * What has been opened so far, to be closed in the opposite order: whether a start failed half way
 * or the work is done.
 */
export class Releases {
  readonly #steps: { readonly what: string; readonly release: () => unknown }[] = [];

  constructor(private readonly logger: Logger) {}

  add(what: string, release: () => unknown): void {
    this.#steps.unshift({ what, release });
  }

  /**
   * Never throws: one that cannot be closed must not keep the others open, nor hide why we are
   * closing.
   */
  async release(): Promise<void> {
    for (const { what, release } of this.#steps.splice(0)) {
      try {
        await release();
      } catch (error) {
        this.logger.warn({ err: error, what }, 'could not be closed');
      }
    }
  }
}
