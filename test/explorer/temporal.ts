import { ActivityFailure, ApplicationFailure, CancelledFailure } from '@temporalio/common';
import type { Event, Scheduler } from './scheduler';

/**
 * As much of Temporal's packages as production uses, for one process or one workflow: attempts are
 * retried without end, signals may get lost, a cancellation reaches what is not shielded.
 */

export interface ActivityContext {
  readonly attempt: number;
  readonly startToCloseTimeoutMs: number;
  readonly workflowExecution: { readonly workflowId: string; readonly runId: string };
}

export function activityPackage(context: () => ActivityContext | undefined) {
  return { activityInfo: context, ApplicationFailure };
}

export type Signal = (workflow: string, name: string) => Promise<void>;

class WorkflowNotFoundError extends Error {}

/** What a signal meets where nobody has the workflow's id. */
export const workflowNotFound = (): Error => new WorkflowNotFoundError('not found');

export function clientPackage(signal: Signal) {
  class Client {
    readonly workflow = {
      getHandle: (id: string) => ({ signal: (name: string) => signal(id, name) }),
    };

    withDeadline<Answer>(_deadline: number, work: () => Promise<Answer>): Promise<Answer> {
      return work();
    }
  }
  return { Client, WorkflowNotFoundError, isGrpcServiceError: () => false };
}

type Handler = () => void;

interface Waiting {
  readonly isShielded: boolean;
  readonly cancel: () => void;
}

/** Runs a step of the protocol, retried until it answers or needs somebody. */
export interface Execute {
  (leg: string, given: readonly unknown[]): Promise<unknown>;
  /** It is not tried again; an attempt that runs goes on, and nobody waits for it. */
  cancel(): void;
}

/** What the package `@temporalio/workflow` is to one workflow. */
export class WorkflowHost {
  readonly #handlers = new Map<string, Handler>();
  readonly #conditions = new Set<() => boolean>();
  #shields = 0;
  #isCancelled = false;
  #waiting: Waiting | undefined;
  /** Nothing of it happens any more. */
  isOver = false;

  constructor(
    private readonly scheduler: Scheduler,
    private readonly name: string,
    private readonly execute: Execute,
  ) {}

  signal(name: string): void {
    this.#handlers.get(name)?.();
    this.#look();
  }

  cancel(): void {
    this.#isCancelled = true;
    if (this.#waiting?.isShielded === false) this.#waiting.cancel();
  }

  #look(): void {
    for (const holds of this.#conditions) holds();
  }

  setHandler(definition: { readonly name: string }, handler: Handler): void {
    this.#handlers.set(definition.name, handler);
  }

  /** Waits for something, unless it is cancelled first. */
  async #wait<Answer>(
    answer: Promise<Answer>,
    cancelled: () => Error,
    stop: () => void = () => {},
  ): Promise<Answer> {
    const isShielded = this.#shields > 0;
    if (this.#isCancelled && !isShielded) throw cancelled();
    return await new Promise<Answer>((resolve, reject) => {
      const cancel = () => {
        stop();
        reject(cancelled());
      };
      const waiting = { isShielded, cancel };
      this.#waiting = waiting;
      const end = () => {
        if (this.#waiting === waiting) this.#waiting = undefined;
      };
      answer.finally(end).then(resolve, reject);
    });
  }

  async activity(leg: string, given: readonly unknown[]): Promise<unknown> {
    const cancelled = () =>
      new ActivityFailure('cancelled', leg, leg, 'CANCEL_REQUESTED', '', new CancelledFailure(''));
    if (this.#isCancelled && this.#shields === 0) throw cancelled();
    return await this.#wait(this.execute(leg, given), cancelled, () => this.execute.cancel());
  }

  async condition(holds: () => boolean, millis?: number): Promise<boolean> {
    const { scheduler } = this;
    let timer: Event | undefined;
    const met = new Promise<boolean>((resolve) => {
      const end = (answer: boolean) => {
        this.#conditions.delete(look);
        if (timer !== undefined) scheduler.remove(timer);
        resolve(answer);
      };
      const look = () => {
        if (!holds()) return false;
        end(true);
        return true;
      };
      if (look()) return;
      this.#conditions.add(look);
      if (millis === undefined) return;
      const dueMillis = scheduler.nowMillis + millis;
      timer = scheduler.add({ name: () => `${this.name} waits`, dueMillis, act: () => end(false) });
    });
    return await this.#wait(met, () => new CancelledFailure('cancelled'));
  }

  async nonCancellable<Answer>(work: () => Promise<Answer>): Promise<Answer> {
    this.#shields += 1;
    try {
      return await work();
    } finally {
      this.#shields -= 1;
    }
  }
}

/** The package, for whichever workflow the modules are used by at the time. */
export function workflowPackage(host: () => WorkflowHost) {
  const named = (name: string) => ({ name });
  return {
    ActivityFailure,
    ApplicationFailure,
    CancellationScope: {
      nonCancellable: <Answer>(work: () => Promise<Answer>) => host().nonCancellable(work),
    },
    condition: (holds: () => boolean, millis?: number) => host().condition(holds, millis),
    continueAsNew: () => Promise.reject(new Error('no history of the model is that long')),
    defineQuery: named,
    defineSignal: named,
    isCancellation,
    proxyActivities: () =>
      new Proxy(
        {},
        {
          get: (_, leg: string) => ({
            executeWithOptions: (_options: unknown, given: unknown[]) =>
              host().activity(leg, given),
          }),
        },
      ),
    proxySinks: () => ({ twinwrite: { settled: () => {} } }),
    setCurrentDetails: () => {},
    setHandler: (definition: { readonly name: string }, handler: Handler) =>
      host().setHandler(definition, handler),
    upsertSearchAttributes: () => {},
    workflowInfo: () => ({
      continueAsNewSuggested: false,
      unsafe: { isReplaying: false },
      typedSearchAttributes: { get: () => undefined },
    }),
  };
}

function isCancellation(error: unknown): boolean {
  if (error instanceof CancelledFailure) return true;
  return error instanceof ActivityFailure && isCancellation(error.cause);
}
