import { setTimeout as pause } from 'node:timers/promises';
import type { MongoClient } from 'mongodb';
import type { Pool } from 'pg';
import { isToPark } from '../activities/failures';
import { stepsOf } from '../activities/steps';
import { UpdateInHand } from '../activities/update-in-hand';
import type { AnyCrossStoreUpdate } from '../domain/definition';
import { isTwinwriteError } from '../domain/errors';
import type { Json } from '../domain/json';
import type { Outcome, Reason } from '../domain/outcome';
import { workflowIdOf } from '../domain/token';
import type { CrossStoreUpdateRequest, Steps, UpdateSteps } from '../domain/update-request';
import { type BoundSteps, driveBack, driveForward } from '../workflows/protocol';
import { watchedMongo } from './mongo-calls';
import { watchedPool } from './postgres-calls';
import type { Sequences } from './postgres-sequences';
import type { StoreCalls } from './store-calls';

/** How one driver's work on an update ended. */
export type Drive =
  | { readonly at: 'settled'; readonly outcome: Outcome<Json> }
  /** It was cut down on the way: the update is whoever's comes next. */
  | { readonly at: 'dead' }
  /** A step failed in a way that needs somebody. */
  | { readonly at: 'failed'; readonly step: keyof Steps; readonly error: unknown };

export interface DriveOptions {
  readonly postgres: Pool;
  readonly mongo: MongoClient;
  readonly definition: AnyCrossStoreUpdate;
  readonly request: CrossStoreUpdateRequest;
  readonly calls: StoreCalls;
  /** Turned back where an attempt is rolled back; left alone when several drivers run at once. */
  readonly sequences?: Sequences;
  /** Compensates instead of going forward. */
  readonly back?: Reason;
}

/** How long a driver tries again what may pass. */
const PATIENCE_MILLIS = 5_000;
const PAUSE_MILLIS = 20;

/**
 * Drives an update to its outcome without Temporal: production's protocol over production's legs,
 * in this process. What Temporal would do around a step is done here: a failure that may pass is
 * tried again; one that would park the update ends the drive.
 */
export async function drive(options: DriveOptions): Promise<Drive> {
  const { calls, back } = options;
  const steps = boundSteps(options);
  try {
    const outcome = await (back === undefined ? driveForward(steps) : driveBack(steps, back));
    return { at: 'settled', outcome };
  } catch (error) {
    if (calls.isDead) return { at: 'dead' };
    if (error instanceof StepError) return { at: 'failed', step: error.step, error: error.cause };
    throw error;
  }
}

class StepError extends Error {
  override readonly name = 'StepError';

  constructor(
    readonly step: keyof Steps,
    override readonly cause: unknown,
  ) {
    super(`${step} failed`, { cause });
  }
}

class NoTurnError extends Error {
  override readonly name = 'NoTurnError';

  constructor() {
    super('it waits for an entity that another update holds, of which nobody takes care');
  }
}

const STEPS = [
  'applyPostgres',
  'applyMongo',
  'fencePostgres',
  'fenceMongo',
  'undoPostgres',
  'resumeForward',
] as const satisfies readonly (keyof Steps)[];

type Attempt = (...rest: unknown[]) => Promise<unknown>;

function boundSteps(options: DriveOptions): BoundSteps {
  const { request, calls } = options;
  const pool = watchedPool(options.postgres, calls);
  const { store, definition } = watchedMongo(options.mongo, calls, options.definition);
  const stores = { postgres: { pool, callTurns: () => {} }, mongo: store };
  const attempt = (): UpdateSteps => {
    const workflow = workflowIdOf(definition.name, request.token);
    return stepsOf(stores, new UpdateInHand(definition, request, workflow));
  };
  const entries = STEPS.map((step) => {
    const once: Attempt = async (...rest) => await (attempt()[step] as Attempt)(...rest);
    return [step, (...rest: unknown[]) => retried(options, step, () => once(...rest))] as const;
  });
  const until = performance.now() + PATIENCE_MILLIS;
  const awaitTurn = async () => {
    if (performance.now() > until) throw new StepError('applyPostgres', new NoTurnError());
    await pause(PAUSE_MILLIS);
  };
  return { ...Object.fromEntries(entries), awaitTurn } as unknown as BoundSteps;
}

async function retried(
  { calls, sequences }: DriveOptions,
  step: keyof Steps,
  attempt: () => Promise<unknown>,
): Promise<unknown> {
  calls.step = step;
  const until = performance.now() + PATIENCE_MILLIS;
  const positions = (await sequences?.read()) ?? [];
  for (;;) {
    const { commits } = calls;
    try {
      return await attempt();
    } catch (error) {
      if (calls.commits === commits) await sequences?.turnBack(positions);
      if (calls.isDead) throw error;
      if (isHopeless(error) || performance.now() > until) throw new StepError(step, error);
      await pause(PAUSE_MILLIS);
    }
  }
}

/** One that Temporal would try a few times and then park, or hand to the caller. */
function isHopeless(error: unknown): boolean {
  const isCallers =
    isTwinwriteError(error, 'InvalidInput') || isTwinwriteError(error, 'TokenReused');
  return isCallers || isToPark(error, Number.MAX_SAFE_INTEGER);
}
