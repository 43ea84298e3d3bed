import {
  ActivityFailure,
  ApplicationFailure,
  CancellationScope,
  defineQuery,
  isCancellation,
  proxyActivities,
  proxySinks,
  type Sinks,
  setCurrentDetails,
  setHandler,
  upsertSearchAttributes,
  workflowInfo,
} from '@temporalio/workflow';
import { DEFAULT_LEG_TIMEOUT_MILLIS } from '../domain/bounds';
import type { Json } from '../domain/json';
import type { Outcome, OutcomeStatus, Reason } from '../domain/outcome';
import { type Progress, titleOf } from '../domain/progress';
import { OUTCOME_ATTRIBUTE } from '../domain/search-attributes';
import type { CrossStoreUpdateRequest, Steps } from '../domain/update-request';
import { currentDetailsOf } from '../domain/web-ui';
import { type BoundSteps, driveBack, driveForward } from './protocol';

export const progressQuery = defineQuery<Progress>('progress');

const CANCELLED: Reason = { code: 'Cancelled', message: 'The update was cancelled' };

/**
 * One cross-store update. Its workflow id is its definition and token, its return value the
 * outcome. It fails only for what the caller has to mend (`InvalidInput`, `TokenReused`): then the
 * token stays free for the rightful caller.
 */
export async function crossStoreUpdate(request: CrossStoreUpdateRequest): Promise<Outcome<Json>> {
  const display = new Display(request);
  const steps = bindSteps(request, display);
  const outcome = await drive(steps);
  display.finish(outcome);
  return outcome;
}

async function drive(steps: BoundSteps): Promise<Outcome<Json>> {
  try {
    return await driveForward(steps);
  } catch (error) {
    if (isCancellation(error)) {
      return await CancellationScope.nonCancellable(() => driveBack(steps, CANCELLED));
    }
    throw callerFailure(error);
  }
}

/**
 * The failure that the activity gave a type to, so that callers read the code and not the wrapping.
 */
function callerFailure(error: unknown): unknown {
  if (!(error instanceof ActivityFailure)) return error;
  return error.cause instanceof ApplicationFailure ? error.cause : error;
}

/** Steps of a compensation, once begun, are nobody's to cancel (clause 5). */
const BACKWARD = new Set<keyof Steps>([
  'fencePostgres',
  'fenceMongo',
  'undoPostgres',
  'resumeForward',
]);

function bindSteps(request: CrossStoreUpdateRequest, display: Display): BoundSteps {
  const activities = proxyActivities<Steps>({
    startToCloseTimeout: request.legTimeoutMillis ?? DEFAULT_LEG_TIMEOUT_MILLIS,
    // No bound on the attempts or their time: what is begun is finished.
    retry: { initialInterval: '200 ms', backoffCoefficient: 2, maximumInterval: '30 s' },
  });
  const bind =
    <Answer extends { readonly at: string }>(leg: keyof Steps) =>
    async (...rest: unknown[]): Promise<Answer> => {
      display.begin(leg);
      const activity = activities[leg] as unknown as {
        executeWithOptions(options: { summary: string }, all: unknown[]): Promise<Answer>;
      };
      const execute = () =>
        activity.executeWithOptions({ summary: display.titleOf(leg) }, [request, ...rest]);
      const answer = BACKWARD.has(leg)
        ? await CancellationScope.nonCancellable(execute)
        : await execute();
      display.end(leg, answer.at);
      return answer;
    };
  return {
    applyPostgres: bind('applyPostgres'),
    applyMongo: bind('applyMongo'),
    fencePostgres: bind('fencePostgres'),
    fenceMongo: bind('fenceMongo'),
    undoPostgres: bind('undoPostgres'),
    resumeForward: bind('resumeForward'),
  };
}

/** What the worker hears of, outside the history: for its log and its metrics. */
export interface OutcomeSinks extends Sinks {
  twinwrite: {
    settled(definition: string, token: string, status: OutcomeStatus): void;
  };
}

const { twinwrite: worker } = proxySinks<OutcomeSinks>();

/** What an operator sees in the Web UI while the update runs and after it. */
class Display {
  #progress: Progress;

  constructor(private readonly request: CrossStoreUpdateRequest) {
    const { definition, token, entities = [] } = request;
    this.#progress = { definition, token, entities, leg: 'applyPostgres', done: [] };
    setHandler(progressQuery, () => this.#progress, {
      description:
        'Where this cross-store update stands: its steps with their answers, its entities, its outcome',
    });
  }

  titleOf(leg: keyof Steps): string {
    return titleOf(leg, this.#progress.done);
  }

  begin(leg: keyof Steps): void {
    this.#show({ ...this.#progress, leg });
  }

  end(leg: keyof Steps, answer: string): void {
    this.#show({ ...this.#progress, done: [...this.#progress.done, { leg, answer }] });
  }

  finish(outcome: Outcome<Json>): void {
    const { definition, token } = this.request;
    this.#show({ ...this.#progress, outcome });
    // A replay has nobody to tell: it may run where no worker of ours is.
    if (!workflowInfo().unsafe.isReplaying) worker.settled(definition, token, outcome.status);
    if (this.request.searchAttributes === true) {
      upsertSearchAttributes([{ key: OUTCOME_ATTRIBUTE, value: outcome.status }]);
    }
  }

  #show(progress: Progress): void {
    this.#progress = progress;
    setCurrentDetails(currentDetailsOf(progress));
  }
}
