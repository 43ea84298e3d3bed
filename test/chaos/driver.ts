import type { ActivityDependencies } from '../../src/activities';
import { type Attempt, type Attempts, createAttempts } from '../../src/activities/attempts';
import type { Json } from '../../src/domain/json';
import type { Outcome, Reason } from '../../src/domain/outcome';
import type { CrossStoreUpdateRequest, Steps } from '../../src/domain/update-request';
import { type BoundSteps, driveBack, driveForward } from '../../src/workflows/protocol';
import { eventually } from '../support/eventually';
import { latency } from './latency';

const CANCELLED: Reason = { code: 'Cancelled', message: 'by the test' };

/** What happens to one call of a step. */
type Fate =
  | 'answered'
  /** It never reached the store. */
  | 'not sent'
  /** It was carried out, and nobody hears of it. */
  | 'answer lost'
  /** Its driver gives up and goes on, while it is still being carried out. */
  | 'given up';

/** Whom the ledger calls, by workflow. Calls get lost. */
export class Bells {
  readonly #rings = new Map<string, number>();

  constructor(private readonly random: () => number) {}

  readonly call = (workflows: readonly string[]): void => {
    for (const workflow of workflows) if (this.random() > 0.2) this.ring(workflow);
  };

  ring(workflow: string): void {
    this.#rings.set(workflow, this.count(workflow) + 1);
  }

  count(workflow: string): number {
    return this.#rings.get(workflow) ?? 0;
  }
}

export class ChaosDriver {
  readonly #attempts: Attempts;
  readonly #zombies = new Set<Promise<unknown>>();

  constructor(
    dependencies: Omit<ActivityDependencies, 'callTurns' | 'observe'>,
    private readonly bells: Bells,
    private readonly random: () => number,
    /** Of the calls that go wrong. */
    private readonly share: number,
  ) {
    this.#attempts = createAttempts({ ...dependencies, callTurns: bells.call, observe: () => {} });
  }

  /** Drives one way until an outcome is there, however often it has to begin again. */
  async drive(
    request: CrossStoreUpdateRequest,
    workflowId: string,
    way: 'forward' | 'back',
  ): Promise<Outcome<Json>> {
    for (;;) {
      try {
        const steps = this.#bind(request, workflowId);
        return await (way === 'forward' ? driveForward(steps) : driveBack(steps, CANCELLED));
      } catch {
        await latency(this.random, 20);
      }
    }
  }

  /** As the janitor drives: no further than to where it fails, or waits. `bury` waits for it. */
  visit(request: CrossStoreUpdateRequest): void {
    this.#keep(driveForward(this.#bind(request, undefined)));
  }

  /** Ends when the last call that was given up on has ended. */
  async bury(): Promise<void> {
    while (this.#zombies.size > 0) await Promise.all(this.#zombies);
  }

  #bind(request: CrossStoreUpdateRequest, workflow: string | undefined): BoundSteps {
    let heard = 0;
    const by: Attempt = { number: 1, workflow, timeoutMillis: 60_000 };
    const bind =
      (leg: keyof Steps) =>
      async (...rest: unknown[]): Promise<never> => {
        if (leg === 'applyPostgres') heard = this.bells.count(workflow ?? '');
        const attempt = this.#attempts[leg] as (...all: unknown[]) => Promise<never>;
        return await this.#meetFate(() => attempt(by, request, ...rest));
      };
    return {
      applyPostgres: bind('applyPostgres'),
      applyMongo: bind('applyMongo'),
      fencePostgres: bind('fencePostgres'),
      fenceMongo: bind('fenceMongo'),
      undoPostgres: bind('undoPostgres'),
      resumeForward: bind('resumeForward'),
      awaitTurn: async () => {
        if (workflow === undefined) throw new Error('nobody calls the janitor');
        await eventually(() => this.bells.count(workflow) > heard, `${workflow} is called`, 60_000);
      },
    };
  }

  async #meetFate<Answer>(call: () => Promise<Answer>): Promise<Answer> {
    const fate = this.#fate();
    if (fate === 'not sent') throw new Error(fate);
    const answer = call();
    // It may fail before anybody listens.
    const ended = answer.then(
      () => {},
      () => {},
    );
    if (fate === 'given up') {
      this.#keep(ended);
      await latency(this.random, 15);
      throw new Error(fate);
    }
    await latency(this.random, 3);
    const value = await answer;
    if (fate === 'answer lost') throw new Error(fate);
    return value;
  }

  #keep(work: Promise<unknown>): void {
    const kept = work.catch(() => {}).finally(() => this.#zombies.delete(kept));
    this.#zombies.add(kept);
  }

  #fate(): Fate {
    const roll = this.random() / this.share;
    if (roll >= 1) return 'answered';
    return roll < 1 / 3 ? 'not sent' : roll < 2 / 3 ? 'answer lost' : 'given up';
  }
}

/** A small generator of numbers between 0 and 1 that a seed repeats (mulberry32). */
export function randomFrom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}
