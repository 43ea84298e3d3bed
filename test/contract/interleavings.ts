/** Is asked before each step of a driver, and answers when it is that driver's turn. */
export type TakeTurn = () => Promise<void>;

type Driver<Result> = (takeTurn: TakeTurn) => Promise<Result>;

const MAX_TURNS = 100;

/**
 * Runs every interleaving of some drivers' steps, one after the other. `begin` makes the drivers of
 * one run anew; a driver's step lasts from its turn to its next request for one, so that no two
 * steps overlap. Answers how many interleavings there were.
 */
export async function everyInterleaving<Result>(
  begin: () => Promise<readonly Driver<Result>[]>,
  check: (results: readonly Result[], schedule: string) => Promise<void>,
): Promise<number> {
  let choices: number[] = [];
  for (let runs = 1; ; runs += 1) {
    const turns = new Turns(choices);
    const drivers = await begin();
    const results = await turns.run(drivers);
    await check(results, turns.schedule);
    const next = turns.nextChoices();
    if (next === undefined) return runs;
    choices = next;
  }
}

/** One run: whenever every driver stands at a step, one of them is chosen. */
class Turns {
  readonly #taken: { chosen: number; of: number }[] = [];
  readonly #waiting = new Map<number, () => void>();
  #moving = 0;
  schedule = '';

  constructor(private readonly choices: readonly number[]) {}

  async run<Result>(drivers: readonly Driver<Result>[]): Promise<Result[]> {
    this.#moving = drivers.length;
    return await Promise.all(
      drivers.map(async (drive, index) => {
        try {
          return await drive(() => this.#wait(index));
        } finally {
          this.#stop();
        }
      }),
    );
  }

  /** The next leaf of the tree of choices, depth first. */
  nextChoices(): number[] | undefined {
    const last = this.#taken.findLastIndex(({ chosen, of }) => chosen + 1 < of);
    if (last === -1) return undefined;
    const kept = this.#taken.slice(0, last + 1).map(({ chosen }) => chosen);
    return kept.with(last, (kept[last] ?? 0) + 1);
  }

  async #wait(index: number): Promise<void> {
    await new Promise<void>((resolve) => {
      this.#waiting.set(index, resolve);
      this.#stop();
    });
  }

  #stop(): void {
    this.#moving -= 1;
    if (this.#moving > 0 || this.#waiting.size === 0) return;
    if (this.schedule.length > MAX_TURNS) throw new Error(`no end: ${this.schedule}`);
    const standing = [...this.#waiting.keys()].sort((a, b) => a - b);
    const chosen = this.choices[this.#taken.length] ?? 0;
    this.#taken.push({ chosen, of: standing.length });
    const index = standing[chosen] ?? 0;
    const go = this.#waiting.get(index);
    this.#waiting.delete(index);
    this.#moving += 1;
    this.schedule += 'ABC'.charAt(index);
    go?.();
  }
}
