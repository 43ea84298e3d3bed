import type { ClientSession } from 'mongodb';
import type { PostgresClient, Refuse } from 'twinwrite';

/** Where a test can reach into an update: inside the callback, after its write. */
export type Place = 'postgres.apply' | 'postgres.undo' | 'mongo.apply' | 'mongo.undo' | 'image';

/** What the callback has at that place. */
export interface Occasion {
  /** 1 for the first time that the callback runs for this token. */
  readonly run: number;
  readonly client?: PostgresClient;
  readonly session?: ClientSession;
  readonly refuse?: Refuse;
}

type Hook = (occasion: Occasion) => unknown;

/** Steers the callbacks of a definition from outside, token by token, and counts their runs. */
export class Steering {
  readonly #hooks = new Map<string, Hook>();
  readonly #runs = new Map<string, number>();
  readonly #refused = new Set<string>();

  on(place: Place, token: string, hook: Hook): void {
    this.#hooks.set(`${place} ${token}`, hook);
  }

  off(place: Place, token: string): void {
    this.#hooks.delete(`${place} ${token}`);
  }

  runs(place: Place, token: string): number {
    return this.#runs.get(`${place} ${token}`) ?? 0;
  }

  /** Called by the callbacks. */
  async visit(place: Place, token: string, occasion: Omit<Occasion, 'run'>): Promise<unknown> {
    const run = this.runs(place, token) + 1;
    this.#runs.set(`${place} ${token}`, run);
    return await this.#hooks.get(`${place} ${token}`)?.({ ...occasion, run });
  }

  /**
   * Makes the collection's validator refuse what this token writes to MongoDB, until it is let in:
   * as if somebody had changed the validator.
   */
  refuseInMongo(token: string): void {
    this.#refused.add(token);
  }

  letIn(token: string): void {
    this.#refused.delete(token);
  }

  /** The field that the validator refuses. */
  mark(token: string): { refused?: true } {
    return this.#refused.has(token) ? { refused: true } : {};
  }
}

/** Holds whoever passes until it is opened, and says when somebody has come. */
export class Gate {
  #arrive: () => void = () => {};
  #open: () => void = () => {};
  readonly arrived = new Promise<void>((resolve) => {
    this.#arrive = resolve;
  });
  readonly #opened = new Promise<void>((resolve) => {
    this.#open = resolve;
  });

  readonly pass = async (): Promise<void> => {
    this.#arrive();
    await this.#opened;
  };

  open(): void {
    this.#open();
  }
}
