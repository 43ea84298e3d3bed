import type { ActivityDependencies } from '../../src/activities';
import type { Attempts } from '../../src/activities/attempts';
import type { AnyCrossStoreUpdate } from '../../src/domain/definition';
import type { Steps } from '../../src/domain/update-request';
import type { Janitor, JanitorDependencies } from '../../src/worker/janitor';
import { firstCallMillis, firstOverdueMillis } from './due';
import type { Modules, Platform, Sources } from './loader';
import { ModelMongo } from './mongo/client';
import type { Store } from './mongo/store';
import { type ModelClient, ModelPool } from './postgres/client';
import type { Database } from './postgres/database';
import { rememberedHash } from './remembered-hash';
import type { Event, Scheduler } from './scheduler';
import { type ActivityContext, activityPackage, clientPackage, type Signal } from './temporal';

/** What every process of a schedule shares. */
export interface Surroundings {
  readonly scheduler: Scheduler;
  readonly database: Database;
  readonly store: Store;
  readonly signal: Signal;
  readonly hasCompany: () => boolean;
  readonly crashed: (process: Process) => void;
}

export type Build = (modules: Modules, build: number) => readonly AnyCrossStoreUpdate[];

/**
 * The production code evaluated once, as a process has it. It is used again in the next schedule:
 * between two of them nothing of it is running.
 */
export class Slot {
  readonly modules: Modules;
  readonly #definitions = new Map<Build, readonly AnyCrossStoreUpdate[]>();
  process: Process | undefined;
  context: ActivityContext | undefined;

  constructor(
    sources: Sources,
    readonly index: number,
  ) {
    const replaced = {
      '@temporalio/activity': activityPackage(() => this.context),
      '@temporalio/client': clientPackage((...given) =>
        this.#running.surroundings.signal(...given),
      ),
      // Hashing what was hashed before is most of what hashing costs here.
      'node:crypto': { createHash: rememberedHash },
      'node:timers/promises': {
        setTimeout: (millis: number, _: unknown, options?: Interruptible) =>
          options?.signal === undefined
            ? this.#running.sleep(millis)
            : this.#running.rest(options.signal),
      },
    };
    this.modules = sources.evaluate((file) => this.#platform(file), replaced);
  }

  get #running(): Process {
    if (this.process === undefined) throw new Error('no process is running here');
    return this.process;
  }

  definitions(build: Build): readonly AnyCrossStoreUpdate[] {
    const known = this.#definitions.get(build) ?? build(this.modules, this.index);
    this.#definitions.set(build, known);
    return known;
  }

  #platform(file: string): Platform {
    // The sweep for lost calls goes on for ever, and keeps nothing from its end.
    const isSweep = file === 'worker/turns.ts';
    const now = () => this.#running.surroundings.scheduler.nowMillis;
    const ModelDate = class extends Date {
      constructor(...given: [] | [number | string]) {
        super(given.length === 0 ? now() : given[0]);
      }
      static override now = now;
    };
    return {
      setTimeout: (callback, millis) => this.#running.setTimer(callback, millis, isSweep),
      clearTimeout: (timer) => this.#running.clearTimer(timer as Event | undefined),
      performance: { now },
      Date: ModelDate as unknown as DateConstructor,
      Math: Object.assign(Object.create(Math) as Math, { random: () => 0.5 }),
    };
  }
}

/** Only the janitor's rest can be interrupted. */
interface Interruptible {
  readonly signal?: AbortSignal;
}

interface Pending {
  postpone(): void;
  drop(): void;
}

/** A worker process: it may be slow, and it may end at any moment. */
export class Process {
  isAlive = true;
  readonly calls = new Set<Pending>();
  readonly sessions = new Set<ModelClient>();
  readonly #timers = new Set<Event>();
  readonly steps: Steps;
  readonly #janitor: Janitor;
  readonly #turns: { call: ActivityDependencies['callTurns']; start: () => void };

  constructor(
    readonly slot: Slot,
    readonly surroundings: Surroundings,
    build: Build,
  ) {
    slot.process = this;
    const { modules } = slot;
    const postgres = new ModelPool(this, surroundings.database) as never;
    const mongo = new ModelMongo(this, surroundings.store) as never;
    const logger = { debug: () => {}, info: () => {}, warn: () => {} };
    for (const [file, client] of [
      ['activities/postgres/store-guard.ts', postgres],
      ['activities/mongo/store-guard.ts', mongo],
    ] as const) {
      (modules.import(file) as { exempt: (client: unknown) => void }).exempt(client);
    }
    const { Turns } = modules.import('worker/turns.ts') as {
      Turns: new (...given: unknown[]) => never;
    };
    this.#turns = new Turns({}, postgres, logger);
    const { createActivities } = modules.import('activities/index.ts') as {
      createActivities: (dependencies: ActivityDependencies) => Steps;
    };
    const updates = slot.definitions(build);
    const callTurns = this.#turns.call;
    const dependencies = { updates, postgres, mongo, observe: () => {}, callTurns };
    this.steps = createActivities(dependencies);
    const { createAttempts } = modules.import('activities/attempts.ts') as {
      createAttempts: (dependencies: ActivityDependencies) => Attempts;
    };
    const production = modules.import('worker/janitor.ts') as {
      Janitor: new (dependencies: JanitorDependencies) => Janitor;
    };
    const metrics = { countTakenByJanitor: () => {}, countSettledByJanitor: () => {} } as never;
    const attempts = createAttempts(dependencies);
    this.#janitor = new production.Janitor({
      updates,
      postgres,
      attempts,
      metrics,
      logger: logger as never,
    });
  }

  get name(): string {
    return `process ${this.slot.index}:`;
  }

  get scheduler(): Scheduler {
    return this.surroundings.scheduler;
  }

  hasCompany(): boolean {
    return this.surroundings.hasCompany();
  }

  /** Looks for lost calls and overdue rows, from now on, whenever nothing else happens. */
  startSweeping(): void {
    this.#turns.start();
    this.#look('janitor', 0, () => this.#janitor.start(), firstOverdueMillis);
  }

  setTimer(callback: () => void, millis: number, isSweep: boolean): Event | undefined {
    if (!this.isAlive) return undefined;
    if (isSweep) return this.#look('sweep', millis, callback, firstCallMillis);
    const { scheduler } = this;
    const timer: Event = scheduler.add({
      name: () => `${this.name} timer of ${millis} ms`,
      dueMillis: scheduler.nowMillis + millis,
      act: () => {
        this.#timers.delete(timer);
        callback();
      },
    });
    this.#timers.add(timer);
    return timer;
  }

  /** A look that would find nothing is not worth its steps: it comes when there is something. */
  #look(
    name: string,
    millis: number,
    callback: () => void,
    firstMillis: (database: Database) => number | undefined,
  ): Event {
    const { scheduler, database } = this.surroundings;
    const timer: Event = scheduler.add({
      name: () => `${this.name} ${name}`,
      dueMillis: scheduler.nowMillis + millis,
      isSweep: true,
      isEnabled: () => {
        const first = firstMillis(database);
        if (first === undefined) return false;
        timer.dueMillis = Math.max(timer.dueMillis ?? 0, first + 1);
        return true;
      },
      act: () => {
        this.#timers.delete(timer);
        callback();
      },
    });
    this.#timers.add(timer);
    return timer;
  }

  /** The janitor's rest, which also ends when one of its drives does. */
  async rest(signal: AbortSignal): Promise<void> {
    return await new Promise((resolve) => {
      if (!this.isAlive) return;
      const timer = this.#look('janitor', 1_000, resolve, firstOverdueMillis);
      const stop = () => {
        this.clearTimer(timer);
        resolve();
      };
      signal.addEventListener('abort', stop, { once: true });
    });
  }

  clearTimer(timer: Event | undefined): void {
    if (timer === undefined) return;
    this.#timers.delete(timer);
    this.scheduler.remove(timer);
  }

  async sleep(millis: number): Promise<void> {
    if (!this.isAlive) return await new Promise<never>(() => {});
    return await new Promise((resolve) => {
      const { scheduler } = this;
      const timer = scheduler.add({
        name: () => `${this.name} sleeps`,
        after: 2,
        act: () => {
          this.#timers.delete(timer);
          scheduler.nowMillis += millis;
          resolve();
        },
      });
      this.#timers.add(timer);
    });
  }

  /** Its stores were slow for longer than any of its deadlines. */
  passDeadlines(): void {
    const due = [...this.#timers].filter(
      ({ dueMillis, isSweep }) => dueMillis !== undefined && isSweep !== true,
    );
    for (const timer of due.sort((a, b) => (a.dueMillis ?? 0) - (b.dueMillis ?? 0))) {
      if (!this.#timers.has(timer)) continue;
      this.scheduler.remove(timer);
      this.scheduler.passTimeTo(timer.dueMillis ?? 0, this.#timers);
      timer.act();
    }
  }

  /** It gets no time for a while: what it is about to do comes late. */
  freeze(): void {
    for (const call of this.calls) call.postpone();
  }

  crash(): void {
    if (!this.isAlive) return;
    this.isAlive = false;
    for (const call of this.calls) call.drop();
    for (const timer of this.#timers) this.scheduler.remove(timer);
    this.#timers.clear();
    // The server notices closed connections; MongoDB's transactions outlive theirs.
    for (const client of this.sessions) client.endedByServer();
    this.surroundings.crashed(this);
  }
}
