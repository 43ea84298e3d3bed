import { eventually } from '../support/eventually';
import type { Hooks } from './lines';

type Point = 'postgres' | 'mongo' | 'undo';

/** A place in a leg at which one update stops, on every attempt, until the gate is opened. */
interface Gate {
  /** Waits until the update stands before it. */
  reached(): Promise<void>;
  isReached(): boolean;
  open(): void;
}

/** Stops updates inside their legs. */
export class Gates {
  readonly #closed = new Map<string, { arrivals: number; opened: Promise<void> }>();
  readonly #open: (() => void)[] = [];

  readonly hooks: Hooks = {
    postgres: (id) => this.#pass('postgres', id),
    mongo: (id) => this.#pass('mongo', id),
    undo: (id) => this.#pass('undo', id),
  };

  close(point: Point, token: string): Gate {
    let open = () => {};
    const opened = new Promise<void>((resolve) => {
      open = resolve;
    });
    const gate = { arrivals: 0, opened };
    this.#closed.set(`${point} ${token}`, gate);
    this.#open.push(open);
    const isReached = () => gate.arrivals > 0;
    return {
      open,
      isReached,
      reached: async () => {
        await eventually(() => isReached() || undefined, `${token} is in its ${point} leg`);
      },
    };
  }

  /** For the end of a test file: a worker waits for its legs before it stops. */
  openAll(): void {
    for (const open of this.#open) open();
  }

  async #pass(point: Point, token: string): Promise<void> {
    const gate = this.#closed.get(`${point} ${token}`);
    if (gate === undefined) return;
    gate.arrivals += 1;
    await gate.opened;
  }
}
