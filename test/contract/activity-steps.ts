import { ApplicationFailure } from '@temporalio/activity';
import { MockActivityEnvironment } from '@temporalio/testing';
import { DefaultLogger } from '@temporalio/worker';
import type { MongoClient } from 'mongodb';
import type { Pool } from 'pg';
import { createActivities } from '../../src/activities';
import type { AnyCrossStoreUpdate } from '../../src/domain/definition';
import type { CrossStoreUpdateRequest, Steps } from '../../src/domain/update-request';
import type { BoundSteps } from '../../src/workflows/protocol';
import { eventually } from '../support/eventually';

export type StepName = keyof Steps;

/** The definition's own time counts. */
const LONG_MILLIS = 60_000;

/** What a test hears of the steps of one driver, and where it may hold the driver up. */
export interface StepWatch {
  /** Before each step, once, however often the step is retried. */
  readonly before?: (step: StepName) => Promise<void> | void;
  readonly answered?: (step: StepName, at: string) => Promise<void> | void;
  readonly failed?: (step: StepName, failure: ApplicationFailure) => void;
}

/**
 * The activities of one worker process, without Temporal: the stores, the definitions and the
 * activities are the real ones, only the activity's context is of the test kit. What Temporal does
 * around a step is done here, as far as a driver depends on it: a retryable failure is retried
 * without end.
 */
export class ActivitySteps {
  readonly #activities: Steps;

  constructor(
    readonly postgres: Pool,
    mongo: MongoClient,
    readonly updates: readonly AnyCrossStoreUpdate[],
  ) {
    // Nobody waits here for anybody's turn: each token is alone on its entities.
    const dependencies = { updates, postgres, mongo, observe: () => {}, callTurns: () => {} };
    this.#activities = createActivities(dependencies);
  }

  /** The steps as the workflow has them: retried until they answer or are the caller's to mend. */
  bind(request: CrossStoreUpdateRequest, watch: StepWatch = {}): BoundSteps {
    const once = this.attempt(request);
    const retried =
      (step: StepName) =>
      async (...rest: unknown[]) => {
        await watch.before?.(step);
        const { answer } = await eventually(
          async () => {
            try {
              return { answer: await call(once, step, rest) };
            } catch (error) {
              if (!(error instanceof ApplicationFailure) || isForSomebody(error)) throw error;
              watch.failed?.(step, error);
              return undefined;
            }
          },
          `${step} answers`,
          15_000,
        );
        await watch.answered?.(step, answer.at);
        return answer;
      };
    return this.#each(retried);
  }

  /** The same, one attempt each: the failure is the caller's to look at. */
  attempt(request: CrossStoreUpdateRequest): BoundSteps {
    return this.#each((step) => async (...rest) => {
      const environment = new MockActivityEnvironment(
        { activityType: step, startToCloseTimeoutMs: LONG_MILLIS },
        { logger: SILENT },
      );
      const activity = this.#activities[step] as (...all: unknown[]) => Promise<StepAnswer>;
      return await environment.run(activity, request, ...rest);
    });
  }

  #each(make: (step: StepName) => (...rest: unknown[]) => Promise<StepAnswer>): BoundSteps {
    const names = Object.keys(this.#activities) as StepName[];
    const entries = names.map((step) => [step, make(step)] as const);
    const awaitTurn = () => Promise.reject(new Error('a token that is alone waits for nobody'));
    return { ...Object.fromEntries(entries), awaitTurn } as unknown as BoundSteps;
  }
}

interface StepAnswer {
  readonly at: string;
}

const SILENT = new DefaultLogger('ERROR', () => {});

async function call(steps: BoundSteps, step: StepName, rest: unknown[]): Promise<StepAnswer> {
  return await (steps[step] as (...all: unknown[]) => Promise<StepAnswer>)(...rest);
}

/** No retry changes it, or it is retried so slowly because somebody has to do something first. */
function isForSomebody(failure: ApplicationFailure): boolean {
  return failure.nonRetryable === true || failure.nextRetryDelay != null;
}
