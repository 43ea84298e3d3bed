import { type BinaryToTextEncoding, createHash } from 'node:crypto';
import type { ActivityDependencies } from '../../src/activities';
import type { AnyCrossStoreUpdate } from '../../src/domain/definition';
import type { Steps } from '../../src/domain/update-request';
import type { Modules, Platform, Sources } from './loader';
import { ModelMongo } from './mongo/client';
import type { Store } from './mongo/store';
import { type ModelClient, ModelPool } from './postgres/client';
import type { Database } from './postgres/database';
import type { Instant, Tuple } from './postgres/values';
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
        setTimeout: (millis: number) => this.#running.sleep(millis),
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

const digests = new Map<string, string>();

function rememberedHash(algorithm: string) {
  let text = '';
  const hash = {
    update: (more: string) => {
      text += more;
      return hash;
    },
    digest: (encoding: BinaryToTextEncoding) => {
      const key = `${algorithm} ${encoding} ${text}`;
      const digest = digests.get(key) ?? createHash(algorithm).update(text).digest(encoding);
      digests.set(key, digest);
      return digest;
    },
  };
  return hash;
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
    const logger = { debug: () => {}, warn: () => {} };
    const { Turns } = modules.import('worker/turns.ts') as {
      Turns: new (...given: unknown[]) => never;
    };
    this.#turns = new Turns({}, postgres, logger);
    const { createActivities } = modules.import('activities/index.ts') as {
      createActivities: (dependencies: ActivityDependencies) => Steps;
    };
    this.steps = createActivities({
      updates: slot.definitions(build),
      postgres,
      mongo,
      observe: () => {},
      callTurns: this.#turns.call,
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

  /** Looks for calls that were lost, from now on, whenever nothing else happens. */
  startSweeping(): void {
    this.#turns.start();
  }

  setTimer(callback: () => void, millis: number, isSweep: boolean): Event | undefined {
    if (!this.isAlive) return undefined;
    const { scheduler } = this;
    const timer: Event = scheduler.add({
      name: () => `${this.name} ${isSweep ? 'sweep' : `timer of ${millis} ms`}`,
      dueMillis: scheduler.nowMillis + millis,
      isSweep,
      isEnabled: () => !isSweep || this.#isSweepOfUse(timer),
      act: () => {
        this.#timers.delete(timer);
        callback();
      },
    });
    this.#timers.add(timer);
    return timer;
  }

  /** When the first call is to be repeated; nothing where none is kept. */
  #firstCallMillis(): number | undefined {
    const { database } = this.surroundings;
    let first: number | undefined;
    const look = (row: Tuple | null | undefined) => {
      if (row === null || row === undefined) return;
      first = Math.min(first ?? Infinity, (row['due'] as Instant).millis);
    };
    for (const row of database.rows('call')) look(row.latest());
    for (const row of database.rows('pending')) {
      const pending = row.latest();
      if (pending?.['stage'] === 'granted') look(pending);
    }
    return first;
  }

  /** A sweep that would find nothing is not worth its steps: it comes when there is something. */
  #isSweepOfUse(timer: Event): boolean {
    const firstMillis = this.#firstCallMillis();
    if (firstMillis === undefined) return false;
    timer.dueMillis = Math.max(timer.dueMillis ?? 0, firstMillis + 1);
    return true;
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
