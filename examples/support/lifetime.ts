/** Ctrl-C, SIGTERM or a closed terminal: not a failure, and nothing is said. */
export class Interrupted extends Error {
  constructor(readonly exitCode: number) {
    super('interrupted');
  }
}

/** As a shell counts them: 128 and the signal's number. */
const EXIT_CODES = { SIGINT: 130, SIGTERM: 143, SIGHUP: 129 } as const;
const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

/**
 * How long a run lasts: until its work is done, until it is interrupted, or until something that it
 * depends on fails. Whatever the end is, everything that was opened is closed, the last opened
 * first.
 */
export class Lifetime {
  readonly #controller = new AbortController();
  readonly #closings: (() => Promise<unknown>)[] = [];
  readonly #ended: Promise<never>;

  constructor() {
    const { signal } = this.#controller;
    this.#ended = new Promise((_resolve, reject) => {
      signal.addEventListener('abort', () => reject(signal.reason as Error), { once: true });
    });
    // It may end while nobody waits.
    this.#ended.catch(() => undefined);
    for (const name of SIGNALS) process.on(name, this.#onSignal);
  }

  readonly #onSignal = (name: (typeof SIGNALS)[number]): void => {
    this.end(new Interrupted(EXIT_CODES[name]));
  };

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** Why it ended, if it did so before its work was done. */
  get reason(): unknown {
    return this.signal.reason;
  }

  /** Ends the run, from anywhere. The first reason stands. */
  end(reason: Error): void {
    this.#controller.abort(reason);
  }

  /** Waits for something, but no longer than the run lasts. */
  async during<Value>(work: Promise<Value>): Promise<Value> {
    // Given up, it may still fail, when what it uses is closed.
    work.catch(() => undefined);
    return await Promise.race([work, this.#ended]);
  }

  /** Waits for the end itself. */
  async untilEnded(): Promise<void> {
    await this.#ended.catch(() => undefined);
  }

  onClose(close: () => Promise<unknown>): void {
    this.#closings.push(close);
  }

  async close(): Promise<void> {
    for (const close of this.#closings.splice(0).toReversed()) {
      // One that fails must not keep the others from being closed.
      await close().catch(() => undefined);
    }
    // Only now: an impatient second Ctrl-C must not leave half of it open.
    for (const name of SIGNALS) process.off(name, this.#onSignal);
  }
}
