import { ActivityFailure, type ApplicationFailure } from '@temporalio/common';
import type { Json } from '../../src/domain/json';
import type { Outcome } from '../../src/domain/outcome';
import type { CrossStoreUpdateRequest, Steps } from '../../src/domain/update-request';
import type { Modules, Platform, Sources } from './loader';
import type { Process } from './process';
import type { Choice, Event, Scheduler } from './scheduler';
import { WorkflowHost, workflowPackage } from './temporal';

type Workflow = (request: CrossStoreUpdateRequest) => Promise<Outcome<Json>>;

const UNAVAILABLE = new Proxy({} as Platform, {
  // A workflow that asks for the time or waits by itself is not deterministic.
  get: () => () => {
    throw new Error('a workflow has no clock');
  },
});

/** The production workflow evaluated once, as a workflow's own sandbox has it. */
export class Sandbox {
  readonly #modules: Modules;
  host: WorkflowHost | undefined;

  constructor(sources: Sources) {
    const host = () => {
      if (this.host === undefined) throw new Error('no workflow is running here');
      return this.host;
    };
    this.#modules = sources.evaluate(() => ({ ...UNAVAILABLE, Date, Math }), {
      '@temporalio/workflow': workflowPackage(host),
      // What the Web UI shows of it costs time, and nothing else.
      '../domain/web-ui': { currentDetailsOf: () => '' },
    });
  }

  get workflow(): Workflow {
    const file = 'workflows/cross-store-update.ts';
    return (this.#modules.import(file) as { crossStoreUpdate: Workflow }).crossStoreUpdate;
  }
}

export interface DriverOptions {
  readonly name: string;
  readonly workflowId: string;
  readonly request: CrossStoreUpdateRequest;
  readonly runId: string;
}

/** Where a driver's attempts run: another process when the first one is not there. */
export interface Workers {
  /** The process that is to run the next attempt. */
  processFor(driver: Driver): Process;
  /** Whether there is another process to move to. */
  canMove(driver: Driver): boolean;
}

interface Attempt {
  readonly process: Process;
  readonly retry: () => void;
}

/** How many steps pass before a step is tried again: ever more. */
const backoff = (attempt: number): number => Math.min(2 * attempt, 14);

/** One workflow that drives an update: the production one, with its cancellations and retries. */
export class Driver {
  outcome: Outcome<Json> | undefined;
  failure: unknown;
  #isOver = false;
  #isCancelled = false;
  #current: Attempt | undefined;
  #next: Event | undefined;
  readonly #host: WorkflowHost;
  /** Which process its attempts run in; another one after each that was given up. */
  home: number;

  constructor(
    readonly options: DriverOptions,
    private readonly scheduler: Scheduler,
    private readonly workers: Workers,
    sandbox: Sandbox,
    home: number,
  ) {
    this.home = home;
    const { name, request } = options;
    const execute = (leg: string, given: readonly unknown[]) => this.#execute(leg, given);
    const cancel = () => this.#forget();
    this.#host = new WorkflowHost(scheduler, name, Object.assign(execute, { cancel }));
    sandbox.host = this.#host;
    const begin = () => {
      sandbox.workflow(request).then(
        (outcome) => this.#end(() => (this.outcome = outcome)),
        (error: unknown) => this.#end(() => (this.failure = error)),
      );
    };
    this.#next = scheduler.add({ name: () => `${name} starts`, act: begin });
  }

  get isOver(): boolean {
    return this.#isOver;
  }

  #end(record: () => void): void {
    if (this.#isOver) return;
    this.#isOver = true;
    record();
  }

  signal(name: string): void {
    this.#host.signal(name);
  }

  /** What may happen to it between any two steps. */
  choices(): Choice[] {
    if (this.#isOver) return [];
    const { name } = this.options;
    const choices: Choice[] = [];
    if (!this.#isCancelled) {
      choices.push({ name: () => `${name} is cancelled`, act: () => this.cancel() });
    }
    const attempt = this.#current;
    if (attempt !== undefined && this.workers.canMove(this)) {
      choices.push({
        name: () => `${name} gives its attempt up, which goes on`,
        act: () => {
          attempt.process.freeze();
          this.#lose(attempt);
        },
      });
    }
    return choices;
  }

  cancel(): void {
    this.#isCancelled = true;
    this.#host.cancel();
  }

  /** It is gone, whatever it was about to do; what its attempts do goes on. */
  terminate(): void {
    this.#isOver = true;
    this.#forget();
  }

  #forget(): void {
    this.#current = undefined;
    if (this.#next !== undefined) this.scheduler.remove(this.#next);
  }

  /** The process of its attempt has ended. */
  processEnded(process: Process): void {
    if (this.#current?.process === process) this.#lose(this.#current);
  }

  #lose({ retry }: Attempt): void {
    this.#current = undefined;
    this.home += 2;
    retry();
  }

  #execute(leg: string, given: readonly unknown[]): Promise<unknown> {
    return new Promise((resolve, reject) => {
      this.#attempt(leg as keyof Steps, given, 1, 0, { resolve, reject });
    });
  }

  #attempt(
    leg: keyof Steps,
    given: readonly unknown[],
    count: number,
    after: number,
    settle: { resolve: (answer: unknown) => void; reject: (error: unknown) => void },
  ): void {
    const again = () => this.#attempt(leg, given, count + 1, backoff(count), settle);
    const begin = () => {
      const process = this.workers.processFor(this);
      const attempt: Attempt = { process, retry: again };
      this.#current = attempt;
      const isCurrent = () => {
        if (this.#current !== attempt) return false;
        this.#current = undefined;
        return true;
      };
      this.#run(process, leg, given, count).then(
        (answer) => {
          if (isCurrent()) settle.resolve(answer);
        },
        (failure: ApplicationFailure) => {
          if (!isCurrent()) return;
          if (failure.nonRetryable === true) settle.reject(failureOf(leg, failure));
          else again();
        },
      );
    };
    const name = () => `${this.options.name} ${leg}, attempt ${count}`;
    this.#next = this.scheduler.add({ name, after, act: begin });
  }

  #run(
    process: Process,
    leg: keyof Steps,
    given: readonly unknown[],
    attempt: number,
  ): Promise<unknown> {
    const { workflowId, runId } = this.options;
    process.slot.context = {
      attempt,
      startToCloseTimeoutMs: 4_000,
      workflowExecution: { workflowId, runId },
    };
    const step = process.steps[leg] as (...all: unknown[]) => Promise<unknown>;
    return step(...given);
  }
}

function failureOf(leg: string, cause: ApplicationFailure): ActivityFailure {
  return new ActivityFailure('failed', leg, leg, 'NON_RETRYABLE_FAILURE', '', cause);
}
