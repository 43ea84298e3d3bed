import { Client, Connection, WorkflowNotFoundError } from '@temporalio/client';
import { loadClientConnectConfig } from '@temporalio/envconfig';
import type { z } from 'zod';
import { type Admission, admit } from './client/admission';
import { CallRetries } from './client/call-retries';
import { EnlistedHandle } from './client/enlisted-handle';
import { SearchAttributeProbe } from './client/search-attribute-probe';
import { startOf } from './client/start-options';
import { startOrJoin } from './client/start-update';
import type { Enlisted } from './client/submit-in-transaction';
import { throwAsTwinwriteError } from './client/temporal-errors';
import { type OutcomeOptions, UpdateHandle } from './client/update-handle';
import { WebUi } from './client/web-ui';
import { readClientConfig } from './config';
import type { AnyCrossStoreUpdate, CrossStoreUpdate, InputOf } from './domain/definition';
import { isTwinwriteError } from './domain/errors';
import type { Expectation } from './domain/expectation';
import { fingerprintOf } from './domain/fingerprint';
import type { Outcome } from './domain/outcome';
import { workflowIdOf } from './domain/token';

export interface ConnectOptions {
  /**
   * A Temporal client that the application has. Left out, `TEMPORAL_*` and `temporal.toml` say
   * where Temporal is.
   */
  readonly client?: Client;
  /**
   * The task queue of the pool of workers. `TWINWRITE_TASK_QUEUE`, or `twinwrite`, unless given.
   */
  readonly taskQueue?: string;
  /**
   * The address of the Temporal Web UI, for `handle.webUrl`. `TWINWRITE_WEB_UI`, or a guess from
   * the server's address, unless given.
   */
  readonly webUi?: string;
}

export interface SubmitOptions {
  /**
   * A token for this call instead of the definition's own. At most 200 characters, and the same on
   * every retry.
   */
  readonly token?: string;
  /**
   * Applies the update only if its document is still as the caller has read it: pass the version
   * that `projection.versionOf(document)` tells, or null for a document that must not be there. An
   * update of several documents says which, in a list if need be.
   *
   * Otherwise the outcome is `refused` with the code `VersionConflict`, nothing is recorded, and
   * the same token may come again. So it is while MongoDB is behind an update that Postgres has. A token that was applied before is answered as ever. One that
   * runs is joined: it goes by what its first caller expects.
   */
  readonly expect?: Expectation | readonly Expectation[];
  /**
   * How long Temporal may take to answer the start before `Unavailable`. At least 1; 10,000 unless
   * given, and at most.
   */
  readonly timeoutMillis?: number;
}

export type ExecuteOptions = SubmitOptions & OutcomeOptions;

const CONNECT_TIMEOUT_MILLIS = 5_000;

/** Bounds the calls that start an update: an answer that takes longer is as good as none. */
const START_TIMEOUT_MILLIS = 10_000;

/** How often one call takes up a workflow that somebody terminates or deletes. */
const MAX_RUNS = 3;

/**
 * Starts cross-store updates and tells their outcomes. It talks to Temporal only: no process that
 * holds a client needs a store driver or a store's credentials.
 */
export class Twinwrite {
  readonly #probe: SearchAttributeProbe;
  readonly #webUi: WebUi;

  private constructor(
    /** The Temporal client underneath. */
    readonly client: Client,
    readonly taskQueue: string,
    webUi: string | undefined,
    private readonly closeConnection: () => Promise<void>,
  ) {
    this.#probe = new SearchAttributeProbe(client);
    this.#webUi = new WebUi(webUi, client.options.namespace);
  }

  /**
   * Connects to Temporal, or takes the client that the application has.
   *
   * @throws TwinwriteError `Unavailable` when Temporal does not answer; `InvalidConfiguration` when
   * the environment is wrong.
   */
  static async connect(options: ConnectOptions = {}): Promise<Twinwrite> {
    const config = readClientConfig();
    const taskQueue = options.taskQueue ?? config.taskQueue;
    if (options.client !== undefined) {
      return new Twinwrite(
        options.client,
        taskQueue,
        options.webUi ?? config.webUi,
        async () => {},
      );
    }
    const { connectionOptions, namespace } = loadClientConnectConfig();
    const retries = new CallRetries();
    const connection = await Connection.connect({
      ...connectionOptions,
      interceptors: [retries.interceptor],
      connectTimeout: CONNECT_TIMEOUT_MILLIS,
    }).catch(throwAsTwinwriteError({}));
    const client = new Client({ connection, namespace: namespace ?? 'default' });
    const webUi = options.webUi ?? config.webUi ?? WebUi.guess(connectionOptions.address);
    return new Twinwrite(client, taskQueue, webUi, async () => {
      await retries.drain();
      await connection.close();
    });
  }

  /**
   * Runs one update to its outcome, which is the same in both stores. Calling again with the same
   * token is safe at any time, and answers the same outcome.
   *
   * @throws TwinwriteError `InvalidInput` (nothing was written), `TokenReused` (nothing was
   * written), `StillRunning` (it goes on), `Unavailable` (call again).
   */
  async execute<Schema extends z.ZodType, Result>(
    definition: CrossStoreUpdate<Schema, Result>,
    input: InputOf<Schema>,
    options: ExecuteOptions = {},
  ): Promise<Outcome<Result>> {
    for (let run = 1; ; run += 1) {
      const handle = await this.submit(definition, input, options);
      try {
        return await handle.outcome(options);
      } catch (error) {
        // Somebody terminated or deleted the workflow: the ledger knows how far it came, and a new
        // run asks it.
        if (!isGone(error) || run === MAX_RUNS) throw error;
      }
    }
  }

  /**
   * Starts one update, or attaches to it when its token is known, and returns at once. The update
   * outlives this process.
   *
   * @throws TwinwriteError `InvalidInput`, `TokenReused`, `Unavailable`
   */
  async submit<Schema extends z.ZodType, Result>(
    definition: CrossStoreUpdate<Schema, Result>,
    input: InputOf<Schema>,
    options: SubmitOptions = {},
  ): Promise<UpdateHandle<Result>> {
    const admission = await admit(definition, input, options.token, options.expect);
    const { token } = admission;
    const deadline = Date.now() + Math.min(options.timeoutMillis ?? Infinity, START_TIMEOUT_MILLIS);
    return await this.client
      .withDeadline(deadline, () => this.#startOrTakeUp<Result>(definition, admission))
      .catch(throwAsTwinwriteError({ definition: definition.name, token }));
  }

  async #startOrTakeUp<Result>(
    definition: AnyCrossStoreUpdate,
    admission: Admission,
  ): Promise<UpdateHandle<Result>> {
    const { input, token, refusal } = admission;
    if (refusal === undefined) return await this.#start(definition, admission);
    const known = await this.#find(definition, token);
    if (known?.memo?.['fingerprint'] !== fingerprintOf(input)) throw refusal;
    switch (known.status.name) {
      case 'FAILED':
        // A worker refused it too.
        throw refusal;
      case 'RUNNING':
      case 'COMPLETED':
        return this.handle<Result>(definition, token, known.runId);
      default:
        // It ended without an outcome: the worker asks the ledger before it judges.
        return await this.#start(definition, admission);
    }
  }

  async #start<Result>(
    definition: AnyCrossStoreUpdate,
    admission: Admission,
  ): Promise<UpdateHandle<Result>> {
    const start = startOf(definition, admission);
    const { client, taskQueue } = this;
    const runId = await startOrJoin({ client, probe: this.#probe, taskQueue }, start);
    return this.handle<Result>(definition, admission.token, runId);
  }

  /** A handle to an update that was submitted before, by this process or another. Asks nobody. */
  handle<Result = unknown>(
    definition: AnyCrossStoreUpdate | string,
    token: string,
    runId?: string,
  ): UpdateHandle<Result>;
  /**
   * A handle to an update that a transaction enlisted. Its `outcome` waits for the start as well:
   * for ever where the transaction was rolled back after all, unless it is given `timeoutMillis`.
   */
  handle<Result>(enlisted: Enlisted<Result>): UpdateHandle<Result>;
  handle<Result>(
    given: AnyCrossStoreUpdate | string | Enlisted<Result>,
    token?: string,
    runId?: string,
  ): UpdateHandle<Result> {
    if (isEnlisted(given)) {
      return new EnlistedHandle<Result>(this.client, this.#webUi, given.definition, given.token);
    }
    const name = typeof given === 'string' ? given : given.name;
    return new UpdateHandle<Result>(this.client, this.#webUi, name, token as string, runId);
  }

  /**
   * Closes the connection that `connect` opened; one that was given stays open. Calls in flight end
   * as `Unavailable`, and their updates go on. While Temporal is away it may take some seconds.
   */
  async close(): Promise<void> {
    await this.closeConnection();
  }

  async #find(definition: AnyCrossStoreUpdate, token: string) {
    return await this.#describe(definition, token).catch((error: unknown) => {
      if (error instanceof WorkflowNotFoundError) return undefined;
      throw error;
    });
  }

  async #describe(definition: AnyCrossStoreUpdate, token: string) {
    return await this.client.workflow.getHandle(workflowIdOf(definition.name, token)).describe();
  }
}

/** The workflow was there and is no more, or has ended without an outcome. */
function isGone(error: unknown): boolean {
  return isTwinwriteError(error, 'EndedWithoutOutcome') || isTwinwriteError(error, 'UnknownUpdate');
}

function isEnlisted<Result>(
  given: AnyCrossStoreUpdate | string | Enlisted<Result>,
): given is Enlisted<Result> {
  return typeof given === 'object' && 'definition' in given;
}

export type {
  Enlisted,
  EnlistOptions,
  Execute,
  SubmitInTransactionOptions,
} from './client/submit-in-transaction';
export { submitInTransaction, submitManyInTransaction } from './client/submit-in-transaction';
export type { OutcomeOptions, UpdateHandle } from './client/update-handle';
export type { InputOf } from './domain/definition';
