import { setTimeout as pause } from 'node:timers/promises';
import type { Pool } from 'pg';
import type { Logger } from 'pino';
import type { Attempt, Attempts } from '../activities/attempts';
import { type OverdueUpdate, takeOverdue } from '../activities/overdue';
import type { AnyCrossStoreUpdate } from '../domain/definition';
import type { Steps } from '../domain/update-request';
import { type BoundSteps, driveForward } from '../workflows/protocol';
import type { WorkerMetrics } from './metrics';
import { within } from './stores';
import { drivesAtOnce } from './tuning';

const LOOK_EVERY_MILLIS = 1_000;

/** A step bounds itself by its stores' time-outs; only a callback that hangs outside them does not. */
const MARGIN_MILLIS = 2_000;

export interface JanitorDependencies {
  /** It drives these, and leaves all others to workers that have them. */
  readonly updates: readonly AnyCrossStoreUpdate[];
  readonly postgres: Pool;
  readonly attempts: Attempts;
  readonly metrics: WorkerMetrics;
  readonly logger: Logger;
}

/**
 * Brings every unsettled update to its outcome whose own driver does not: its workflow was
 * terminated, deleted, timed out, is open and dead, or went with Temporal's database (clause 9).
 *
 * It is worker code on a timer: no Temporal Schedule that could be lost too (F45), and it asks
 * Temporal nothing, of no row. Once a second it takes a few rows whose driver is late, and drives
 * them in this process, by the protocol that workflows run. It is one more driver, and the ledger
 * makes all drivers agree: so it does no harm beside a workflow that is alive and merely late, nor
 * beside the janitors of other workers. A row is pushed as it is taken, so that no two of them work
 * on it at once, one that dies leaves it to the next, and one that keeps failing is tried ever more
 * rarely.
 *
 * **The bound.** When nothing else is wrong, an update whose workflow is gone is settled 10 seconds
 * after its claim or after its compensation began, or 2.5 times its definition's leg time where that
 * is longer, plus a second to look, plus the time of its legs. One that waits for a turn is driven
 * within 4 seconds of its turn where Temporal says that its workflow is gone, and within 12 where
 * Temporal does not answer, or the workflow is open and dead. While a store is away, a row is tried again after 10, 20, 40 and then
 * every 60 seconds; one that is parked needs somebody first, and is tried a minute later, and ever
 * more rarely, up to ten and a half. More rows than a worker drives at once (a quarter of its
 * connections) take their turns, the most overdue first.
 */
export class Janitor {
  readonly #names: readonly string[];
  readonly #legMillis: ReadonlyMap<string, number>;
  readonly #atOnce: number;
  readonly #drives = new Map<string, Promise<void>>();
  readonly #stop = new AbortController();
  #work: Promise<void> | undefined;

  constructor(private readonly dependencies: JanitorDependencies) {
    const { updates, postgres } = dependencies;
    this.#names = updates.map(({ name }) => name);
    this.#legMillis = new Map(
      updates.map(({ name, legTimeoutMillis }) => [name, legTimeoutMillis]),
    );
    this.#atOnce = drivesAtOnce(postgres.options.max);
  }

  start(): void {
    this.#work ??= this.#lookForOverdue();
  }

  /** Takes nothing more; what is being driven stops after the step that runs. */
  stop(): void {
    this.#stop.abort();
  }

  /** Ends when nothing is being driven any more, a leg's time after `stop` at most. */
  async close(): Promise<void> {
    this.stop();
    await this.#work;
  }

  async #lookForOverdue(): Promise<void> {
    const { signal } = this.#stop;
    while (!signal.aborted) {
      for (const update of await this.#take()) this.#begin(update);
      await this.#rest();
    }
    await Promise.all(this.#drives.values());
  }

  async #take(): Promise<readonly OverdueUpdate[]> {
    const room = this.#atOnce - this.#drives.size;
    if (room === 0) return [];
    try {
      return await takeOverdue(this.dependencies.postgres, this.#names, room);
    } catch (error) {
      this.dependencies.logger.debug({ err: error }, 'could not look for overdue updates');
      return [];
    }
  }

  /** A second, or less where there is room for the next: whom one lets go on may be overdue too. */
  async #rest(): Promise<void> {
    const rested = new AbortController();
    const signal = AbortSignal.any([rested.signal, this.#stop.signal]);
    const second = pause(LOOK_EVERY_MILLIS, undefined, { signal }).catch(() => {});
    await Promise.race([second, ...this.#drives.values()]);
    rested.abort();
  }

  #begin(update: OverdueUpdate): void {
    // It has outlived its time and is taken again: the one that works on it goes on.
    if (this.#drives.has(update.ticket)) return;
    const drive = this.#drive(update).finally(() => this.#drives.delete(update.ticket));
    this.#drives.set(update.ticket, drive);
  }

  /** Never fails: what a step says was reported by the step, and the row is overdue again. */
  async #drive(update: OverdueUpdate): Promise<void> {
    const { logger, metrics } = this.dependencies;
    const { stage, tries, lateMillis } = update;
    const { definition, token } = update.request;
    metrics.countTakenByJanitor(definition);
    logger.warn(
      { definition, token, stage, tries, lateMillis },
      'an update is overdue; the janitor drives it',
    );
    try {
      const { status } = await driveForward(this.#bind(update));
      metrics.countSettledByJanitor(definition, status);
      logger.warn({ definition, token, status }, 'the janitor found or brought it settled');
    } catch (error) {
      const isExpected = error instanceof DriveStopped;
      const why = isExpected ? error.message : 'a step failed';
      logger[isExpected ? 'info' : 'warn']({ definition, token, why }, 'the janitor leaves it');
    }
  }

  #bind(update: OverdueUpdate): BoundSteps {
    const { attempts } = this.dependencies;
    const names = Object.keys(attempts) as (keyof Steps)[];
    const steps = names.map((name) => [name, this.#stepOf(name, update)] as const);
    // Who waits holds nothing, and whoever releases what it waits for calls it again.
    const awaitTurn = () => Promise.reject(new DriveStopped('it waits for its turn'));
    return { ...Object.fromEntries(steps), awaitTurn } as unknown as BoundSteps;
  }

  #stepOf(name: keyof Steps, { request, tries }: OverdueUpdate) {
    const attempt = this.dependencies.attempts[name] as (
      by: Attempt,
      ...parameters: unknown[]
    ) => Promise<unknown>;
    const millis = (this.#legMillis.get(request.definition) ?? 0) + MARGIN_MILLIS;
    const by: Attempt = { number: tries, workflow: undefined };
    return async (...rest: unknown[]): Promise<unknown> => {
      if (this.#stop.signal.aborted) throw new DriveStopped('the worker stops');
      return await within(millis, attempt(by, request, ...rest));
    };
  }
}

/** The end of a drive that is nobody's failure. */
class DriveStopped extends Error {
  override readonly name = 'DriveStopped';
}
