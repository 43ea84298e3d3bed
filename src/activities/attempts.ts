import type { MongoClient } from 'mongodb';
import type { Pool } from 'pg';
import type { AnyCrossStoreUpdate } from '../domain/definition';
import { TwinwriteError } from '../domain/errors';
import type { CrossStoreUpdateRequest, Steps } from '../domain/update-request';
import { EpochCheck } from './epoch-check';
import { isToPark, toApplicationFailure } from './failures';
import { InFlight } from './in-flight';
import * as postgresLeg from './postgres/leg';
import { type Stores, stepsOf } from './steps';
import { UpdateInHand } from './update-in-hand';

export interface ActivityDependencies {
  readonly updates: readonly AnyCrossStoreUpdate[];
  readonly postgres: Pool;
  readonly mongo: MongoClient;
  readonly observe: LegObserver;
  /**
   * Tells these workflows, by a signal, that their turn may have come. It never fails, and returns
   * at once.
   */
  readonly callTurns: (workflows: readonly string[]) => void;
}

/** Is told of every attempt of a step: for logs and metrics. */
export interface LegObserver {
  (observation: LegObservation): void;
}

interface LegObservation {
  readonly definition: string;
  readonly token: string;
  readonly leg: keyof Steps;
  /** Whose attempt it is: each counts its own. */
  readonly driver: 'workflow' | 'janitor';
  readonly attempt: number;
  readonly durationMillis: number;
  /** What the step answered, or `failed`, or `parked` when it failed once too often. */
  readonly answer: string;
  readonly error?: unknown;
}

/** Who makes an attempt of a step. */
export interface Attempt {
  /** 1 for the first: what needs somebody is parked by a later one. */
  readonly number: number;
  /** The workflow that drives; none for a driver that nobody could call. */
  readonly workflow: string | undefined;
  /** What its driver gives it, if that is less than the definition's time. */
  readonly timeoutMillis?: number;
}

/** The protocol's steps, one attempt each, for whoever drives: a workflow or the janitor. */
export type Attempts = {
  readonly [Name in keyof Steps]: (
    by: Attempt,
    ...parameters: Parameters<Steps[Name]>
  ) => ReturnType<Steps[Name]>;
};

/**
 * Each attempt takes the definition from this worker's own set, meets the request with it, and turns
 * every error into a failure with a type at this one boundary.
 */
export function createAttempts(dependencies: ActivityDependencies): Attempts {
  const { postgres: pool, mongo: client, callTurns } = dependencies;
  const stores: Stores = { postgres: { pool, callTurns }, mongo: { client, db: client.db() } };
  const inFlight = new InFlight();
  const step = stepRunner(dependencies, stores.postgres);
  return {
    applyPostgres: step('applyPostgres', async (update) => {
      const answer = await inFlight.share(`postgres ${update.identity}`, update.timeoutMillis, () =>
        stepsOf(stores, update).applyPostgres(),
      );
      update.assertOwnTurn(answer);
      return answer;
    }),
    applyMongo: step('applyMongo', (update, claim) =>
      inFlight.share(
        `mongo ${claim.undone === true} ${update.identity}`,
        update.timeoutMillis,
        () => stepsOf(stores, update).applyMongo(claim),
      ),
    ),
    fencePostgres: step('fencePostgres', (update, reason) =>
      stepsOf(stores, update).fencePostgres(reason),
    ),
    fenceMongo: step('fenceMongo', (update, claim) => stepsOf(stores, update).fenceMongo(claim)),
    undoPostgres: step('undoPostgres', (update) => stepsOf(stores, update).undoPostgres()),
    resumeForward: step('resumeForward', (update) => stepsOf(stores, update).resumeForward()),
  };
}

type Step<Rest extends unknown[], Answer> = (
  request: CrossStoreUpdateRequest,
  ...rest: Rest
) => Promise<Answer>;

function stepRunner(
  { updates, observe, postgres: pool, mongo }: ActivityDependencies,
  postgres: postgresLeg.PostgresStore,
) {
  const epoch = new EpochCheck({ postgres: pool, mongo });
  const definitions = new Map(updates.map((definition) => [definition.name, definition]));
  return <Name extends keyof Steps>(
    leg: Name,
    run: (
      update: UpdateInHand,
      ...rest: Steps[Name] extends Step<infer Rest, unknown> ? Rest : never
    ) => ReturnType<Steps[Name]>,
  ): Attempts[Name] => {
    const step = async (by: Attempt, request: CrossStoreUpdateRequest, ...rest: never) => {
      const startedAt = performance.now();
      const { number: attempt } = by;
      const driver = by.workflow === undefined ? 'janitor' : 'workflow';
      const { definition, token } = request;
      const report = (answer: string, error?: unknown) => {
        const durationMillis = performance.now() - startedAt;
        observe({ definition, token, leg, driver, attempt, durationMillis, answer, error });
      };
      try {
        const update = updateInHand(definitions, request, by);
        const answer = await epoch.around<{ readonly at: string }>(() => run(update, ...rest));
        report(answer.at);
        return answer;
      } catch (error) {
        const failure = toApplicationFailure(error, attempt);
        const parks = isToPark(error, attempt);
        report(parks ? 'parked' : 'failed', error);
        if (parks)
          await postgresLeg.notePark(postgres, { definition, token }, `${leg}: ${failure.message}`);
        throw failure;
      }
    };
    return step as unknown as Attempts[Name];
  };
}

function updateInHand(
  definitions: ReadonlyMap<string, AnyCrossStoreUpdate>,
  request: CrossStoreUpdateRequest,
  { workflow, timeoutMillis }: Attempt,
): UpdateInHand {
  const definition = definitions.get(request.definition);
  if (definition === undefined) {
    throw new TwinwriteError('UnknownDefinition', { definition: request.definition });
  }
  return new UpdateInHand(definition, request, workflow, timeoutMillis);
}
