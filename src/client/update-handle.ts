import {
  ApplicationFailure,
  type Client,
  isGrpcCancelledError,
  WorkflowFailedError,
  WorkflowNotFoundError,
} from '@temporalio/client';
import { type ErrorFields, isCallerCode, isTwinwriteError, TwinwriteError } from '../domain/errors';
import type { Outcome } from '../domain/outcome';
import type { Progress } from '../domain/progress';
import { workflowIdOf } from '../domain/token';
import { throwAsTwinwriteError } from './temporal-errors';
import type { WebUi } from './web-ui';

export interface OutcomeOptions {
  /**
   * How long to wait before `StillRunning`; the update goes on. At least 1; without it the wait is
   * as long as it takes.
   */
  readonly timeoutMillis?: number;
}

/** One submitted update. */
export class UpdateHandle<Result = unknown> {
  readonly workflowId: string;
  /** Its page in the Temporal Web UI, or nothing when nobody said where that is. */
  readonly webUrl: string | undefined;

  constructor(
    private readonly client: Client,
    webUi: WebUi,
    readonly definition: string,
    readonly token: string,
    readonly runId: string | undefined,
  ) {
    this.workflowId = workflowIdOf(definition, token);
    this.webUrl = webUi.pageOf(this.workflowId, runId);
  }

  /**
   * Waits for the outcome.
   *
   * @throws TwinwriteError `TokenReused`, `InvalidInput`, `StillRunning`, `Unavailable`,
   * `UnknownUpdate`, `EndedWithoutOutcome`
   */
  async outcome(options: OutcomeOptions = {}): Promise<Outcome<Result>> {
    const { timeoutMillis } = options;
    const wait = async (): Promise<Outcome<Result>> =>
      await this.client.workflow.getHandle(this.workflowId).result();
    try {
      if (timeoutMillis === undefined) return await wait();
      return await this.client.withAbortSignal(AbortSignal.timeout(timeoutMillis), wait);
    } catch (error) {
      return this.#outcomeFor(error, timeoutMillis);
    }
  }

  /** Where the update stands. Answered by a worker: without one, this waits. */
  async progress(): Promise<Progress> {
    return await this.client.workflow
      .getHandle(this.workflowId)
      .query<Progress>('progress')
      .catch(throwAsTwinwriteError(this.#identity()));
  }

  /**
   * Asks for the update to be taken back. It is a request: the outcome says what became of it,
   * `applied` where it was settled or has no way back, `refused` where nothing had been written.
   */
  async cancel(): Promise<void> {
    const workflow = this.client.workflow.getHandle(this.workflowId);
    try {
      await workflow.cancel();
    } catch (error) {
      const rethrow = throwAsTwinwriteError(this.#identity());
      if (!(error instanceof WorkflowNotFoundError)) rethrow(error);
      // Temporal answers the same for a run that has ended, which is no error here, and for one
      // that never was.
      await workflow.describe().catch(rethrow);
    }
  }

  #identity(): { definition: string; token: string } {
    return { definition: this.definition, token: this.token };
  }

  #outcomeFor(error: unknown, timeoutMillis: number | undefined): Outcome<never> {
    if (error instanceof WorkflowFailedError) return refusedFor(this.#endedWithout(error));
    if (timeoutMillis !== undefined && isGrpcCancelledError(error)) {
      throw new TwinwriteError('StillRunning', { ...this.#identity(), timeoutMillis });
    }
    return throwAsTwinwriteError(this.#identity())(error);
  }

  #endedWithout({ cause }: WorkflowFailedError): Error {
    if (cause instanceof ApplicationFailure && isCallerCode(cause.type)) {
      const fields = cause.details?.[0] as ErrorFields[typeof cause.type];
      return new TwinwriteError(cause.type, fields, { cause });
    }
    return new TwinwriteError('EndedWithoutOutcome', this.#identity(), { cause });
  }
}

/**
 * A conflict is a result, which a caller expects to meet; its run has failed all the same, so that
 * its token is free.
 */
function refusedFor(error: Error): Outcome<never> {
  if (!isTwinwriteError(error, 'VersionConflict')) throw error;
  const { code, message, fields } = error;
  return { status: 'refused', reason: { code, message, conflicts: fields.conflicts } };
}
