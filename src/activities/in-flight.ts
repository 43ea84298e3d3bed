interface Attempt {
  readonly answer: Promise<unknown>;
  readonly startedAt: number;
}

/**
 * Lets the duplicates of one attempt in one process share it (F25): each would hold a connection of
 * the pool, only to wait for the one that works. One that has outlived its time is nobody's to
 * wait for: a callback that never returns must not take the retries with it.
 */
export class InFlight {
  readonly #attempts = new Map<string, Attempt>();

  /** Runs `attempt`, or joins the one that runs under this key. */
  async share<Answer>(
    key: string,
    timeoutMillis: number,
    attempt: () => Promise<Answer>,
  ): Promise<Answer> {
    const running = this.#attempts.get(key);
    const now = performance.now();
    if (running !== undefined && now - running.startedAt < timeoutMillis) {
      return (await running.answer) as Answer;
    }
    const started: Attempt = { answer: attempt(), startedAt: now };
    this.#attempts.set(key, started);
    try {
      return (await started.answer) as Answer;
    } finally {
      if (this.#attempts.get(key) === started) this.#attempts.delete(key);
    }
  }
}
