import {
  ActivityFailure,
  ApplicationFailure,
  CancellationScope,
  continueAsNew,
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
import { checkRequest } from '../domain/check-request';
import { isCallerCode } from '../domain/errors';
import type { Json } from '../domain/json';
import type { Outcome, OutcomeStatus, Reason } from '../domain/outcome';
import { type Progress, titleOf } from '../domain/progress';
import { OUTCOME_ATTRIBUTE, PARKED, RUNNING } from '../domain/search-attributes';
import type { CrossStoreUpdateRequest, Steps } from '../domain/update-request';
import { currentDetailsOf } from '../domain/web-ui';
import { type BoundSteps, driveBack, driveForward } from './protocol';
import { Waits } from './waits';

export const progressQuery = defineQuery<Progress>('progress');

const CANCELLED: Reason = { code: 'Cancelled', message: 'The update was cancelled' };

/**
 * One cross-store update. Its workflow id is its definition and token, its return value the
 * outcome. It fails only for what the caller has to mend (`InvalidInput`, `TokenReused`,
 * `VersionConflict`): then the token stays free for the rightful caller.
 */
export async function crossStoreUpdate(given: CrossStoreUpdateRequest): Promise<Outcome<Json>> {
  const request = admit(given);
  const display = new Display(request);
  const steps = bindSteps(request, display, new Waits());
  const outcome = await drive(steps);
  display.finish(outcome);
  return outcome;
}

/** An error of any other kind would fail this task again and again, and the update never. */
function admit(given: unknown): CrossStoreUpdateRequest {
  const checked = checkRequest(given);
  if ('request' in checked) return checked.request;
  const { code, message, fields } = checked.refusal;
  throw ApplicationFailure.create({ type: code, message, nonRetryable: true, details: [fields] });
}

async function drive(steps: BoundSteps): Promise<Outcome<Json>> {
  try {
    return await driveUntilCancelled(steps);
  } catch (error) {
    throw callerFailure(error);
  }
}

async function driveUntilCancelled(steps: BoundSteps): Promise<Outcome<Json>> {
  try {
    return await driveForward(steps);
  } catch (error) {
    if (!isCancellation(error)) throw error;
    return await CancellationScope.nonCancellable(() => driveBack(steps, CANCELLED));
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

function bindSteps(request: CrossStoreUpdateRequest, display: Display, waits: Waits): BoundSteps {
  const activities = proxyActivities<Steps>({
    startToCloseTimeout: request.legTimeoutMillis ?? DEFAULT_LEG_TIMEOUT_MILLIS,
    // No bound on the attempts or their time: what is begun is finished.
    retry: { initialInterval: '200 ms', backoffCoefficient: 2, maximumInterval: '30 s' },
  });
  const bind =
    <Answer extends { readonly at: string }>(leg: keyof Steps) =>
    async (...rest: unknown[]): Promise<Answer> => {
      const activity = activities[leg] as unknown as {
        executeWithOptions(options: { summary: string }, all: unknown[]): Promise<Answer>;
      };
      const attempt = async (): Promise<Answer> => {
        display.begin(leg);
        if (leg === 'applyPostgres') waits.beginClaim();
        return await activity.executeWithOptions({ summary: display.titleOf(leg) }, [
          request,
          ...rest,
        ]);
      };
      const execute = () => untilUnparked(attempt, request, leg, display, waits);
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
    awaitTurn: () => waits.forTurn(),
  };
}

/**
 * Runs a step until it answers. What ends its attempts without being the caller's to mend needs
 * somebody: the update is parked. It keeps what it holds, says so wherever somebody may look, and
 * tries again slowly, or when it is told to.
 */
async function untilUnparked<Answer>(
  attempt: () => Promise<Answer>,
  request: CrossStoreUpdateRequest,
  leg: keyof Steps,
  display: Display,
  waits: Waits,
): Promise<Answer> {
  for (;;) {
    try {
      return await attempt();
    } catch (error) {
      const failure = callerFailure(error);
      if (isCancellation(error) || isForTheCaller(failure)) throw error;
      display.park(leg, failure);
      try {
        await waits.forRetry();
      } finally {
        // Cancelled, it goes on as well.
        display.unpark();
      }
      // The ledger knows how far it came, so a new run takes over: a history has a limit, and an
      // update may be parked for years. Only a cancellation is not in the ledger before its fence.
      if (workflowInfo().continueAsNewSuggested && leg !== 'fencePostgres') {
        await continueAsNew<typeof crossStoreUpdate>(request);
      }
    }
  }
}

function isForTheCaller(failure: unknown): boolean {
  return failure instanceof ApplicationFailure && isCallerCode(failure.type);
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

  park(leg: keyof Steps, failure: unknown): void {
    const parked = failure instanceof Error ? failure.message : 'it failed';
    this.#show({ ...this.#progress, leg, parked });
    this.#setOutcomeAttribute(PARKED);
  }

  unpark(): void {
    const { parked: _parked, ...progress } = this.#progress;
    this.#show(progress);
    this.#setOutcomeAttribute(RUNNING);
  }

  finish(outcome: Outcome<Json>): void {
    const { definition, token } = this.request;
    this.#show({ ...this.#progress, outcome });
    // A replay has nobody to tell: it may run where no worker of ours is.
    if (!workflowInfo().unsafe.isReplaying) worker.settled(definition, token, outcome.status);
    this.#setOutcomeAttribute(outcome.status);
  }

  /**
   * An upsert of one that the namespace lacks fails the task for ever: the start, which the server
   * has looked at, says more than whoever wrote the request.
   */
  #setOutcomeAttribute(value: string): void {
    const { typedSearchAttributes } = workflowInfo();
    const isStartedWithIt = typedSearchAttributes.get(OUTCOME_ATTRIBUTE) !== undefined;
    if (this.request.searchAttributes !== true || !isStartedWithIt) return;
    upsertSearchAttributes([{ key: OUTCOME_ATTRIBUTE, value }]);
  }

  #show(progress: Progress): void {
    this.#progress = progress;
    setCurrentDetails(currentDetailsOf(progress));
  }
}
