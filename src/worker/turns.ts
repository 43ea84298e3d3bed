import { Client, isGrpcServiceError, WorkflowNotFoundError } from '@temporalio/client';
import type { Pool, PoolClient } from 'pg';
import type { Logger } from 'pino';
import { findOverdueCalls, forgetCalls, giveUpCalls } from '../activities/overdue';
import { inTransaction } from '../activities/postgres/transaction';
import type { TemporalConnection } from './temporal-connection';

const SIGNAL_WITHIN_MILLIS = 5_000;
const SWEEP_EVERY_MILLIS = 1_000;
const SWEEP_WITHIN_MILLIS = 5_000;
const SWEEP_AT_MOST = 100;

/**
 * Calls those whose turn has come: by a signal through the client, after the commit that released
 * what they wait for. A signal as a workflow's command would be lost with a workflow that completes
 * in the same task (F20).
 *
 * A call may get lost with the process that makes it. So every worker looks once a second for those
 * that were called and did not come; that is one query on an index, however many wait. Whose
 * workflow is gone, or out of reach with all of Temporal, is the janitor's at once; and so is, after
 * two calls, whoever does not come.
 */
export class Turns {
  readonly #client: Client;
  readonly #calls = new Set<Promise<unknown>>();
  #sweep: NodeJS.Timeout | undefined;
  #isClosed = false;

  constructor(
    { connection, namespace }: TemporalConnection,
    private readonly postgres: Pool,
    private readonly logger: Logger,
  ) {
    this.#client = new Client({ connection, namespace });
  }

  /** Never fails, and returns at once. */
  readonly call = (workflows: readonly string[]): void => {
    this.#keep(this.#callAll(workflows));
  };

  /** Begins to look for those that did not come. */
  start(): void {
    this.#sweep = setTimeout(() => this.#keep(this.#callOverdue()), SWEEP_EVERY_MILLIS);
  }

  /** Ends when the calls under way have ended: the connection is closed next. */
  async close(): Promise<void> {
    this.#isClosed = true;
    clearTimeout(this.#sweep);
    while (this.#calls.size > 0) await Promise.all(this.#calls);
  }

  #keep(call: Promise<unknown>): void {
    const kept = call.finally(() => this.#calls.delete(kept));
    this.#calls.add(kept);
  }

  /** Answers whom it has not to call again: they heard it, or are gone. */
  async #callAll(workflows: readonly string[]): Promise<readonly string[]> {
    const answers = await Promise.all(workflows.map((workflow) => this.#signal(workflow)));
    const unheard = workflows.filter((_, index) => answers[index] !== 'heard');
    if (unheard.length > 0) await this.#giveUp(unheard);
    return workflows.filter((_, index) => answers[index] !== 'lost');
  }

  /** What is not noted now is noted when they are called again. */
  async #giveUp(workflows: readonly string[]): Promise<void> {
    await giveUpCalls(this.postgres, workflows).catch((error: unknown) => {
      this.logger.debug({ err: error, workflows }, 'could not note who will not come');
    });
  }

  async #signal(workflow: string): Promise<'heard' | 'gone' | 'lost'> {
    try {
      await this.#client.withDeadline(Date.now() + SIGNAL_WITHIN_MILLIS, () =>
        this.#client.workflow.getHandle(workflow).signal('turn'),
      );
      return 'heard';
    } catch (error) {
      if (error instanceof WorkflowNotFoundError) return 'gone';
      // It is called again when it is overdue.
      const level = isGrpcServiceError(error) ? 'debug' : 'warn';
      this.logger[level]({ err: error, workflow }, 'a call was lost');
      return 'lost';
    }
  }

  async #callOverdue(): Promise<void> {
    try {
      const overdue = await this.#inLedger((client) => findOverdueCalls(client, SWEEP_AT_MOST));
      const called = await this.#callAll(overdue);
      if (called.length > 0) await this.#inLedger((client) => forgetCalls(client, called));
    } catch (error) {
      this.logger.debug({ err: error }, 'could not look for overdue calls');
    }
    if (!this.#isClosed) this.start();
  }

  async #inLedger<Result>(work: (client: PoolClient) => Promise<Result>): Promise<Result> {
    return await inTransaction(this.postgres, { timeoutMillis: SWEEP_WITHIN_MILLIS }, work);
  }
}
