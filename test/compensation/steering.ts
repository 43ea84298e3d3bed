/** The moments of an update at which a test may step in. */
export type Moment = 'apply' | 'undo' | 'image' | 'mongo apply' | 'mongo undo';

type Hook = (run: number) => Promise<void> | void;

/** Thrown by a hook of `apply`, it becomes the callback's own refusal. */
export class Refusal extends Error {
  override readonly name = 'Refusal';
}

/** Lets a test steer callbacks from outside, by the update's id, and counts how often each ran. */
export class Steering {
  readonly #hooks = new Map<string, Hook>();
  readonly #runs = new Map<string, number>();

  /** The callback calls this after its write. */
  async pass(moment: Moment, id: string): Promise<void> {
    const run = this.runs(moment, id) + 1;
    this.#runs.set(`${moment} ${id}`, run);
    await this.#hooks.get(`${moment} ${id}`)?.(run);
  }

  runs(moment: Moment, id: string): number {
    return this.#runs.get(`${moment} ${id}`) ?? 0;
  }

  at(moment: Moment, id: string, hook: Hook): void {
    this.#hooks.set(`${moment} ${id}`, hook);
  }

  /** Holds the callback until the gate is opened, at one of its runs; the others pass. */
  gate(moment: Moment, id: string, atRun = 1): Gate {
    const gate = new Gate();
    this.at(moment, id, async (run) => {
      if (run === atRun) await gate.hold();
    });
    return gate;
  }
}

export class Gate {
  readonly #reached = new Occasion();
  readonly #opened = new Occasion();

  async hold(): Promise<void> {
    this.#reached.come();
    await this.#opened.came;
  }

  /** Resolves once the callback stands here. */
  async reached(): Promise<void> {
    await this.#reached.came;
  }

  open(): void {
    this.#opened.come();
  }
}

/** Something that happens once, and whoever waits for it. */
export class Occasion {
  come: () => void = () => {};
  readonly came = new Promise<void>((resolve) => {
    this.come = resolve;
  });
}
