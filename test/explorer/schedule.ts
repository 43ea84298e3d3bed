import type * as PostgresMigrations from '../../src/activities/postgres/migrate';
import type { CrossStoreUpdateRequest } from '../../src/domain/update-request';
import { definitionsOf, type Steering, TABLES } from './definitions';
import { Driver, Sandbox, type Workers } from './driver';
import { firstOverdueMillis } from './due';
import { exploredSql } from './explored-sql';
import { type Patch, Sources } from './loader';
import type { Document } from './mongo/matching';
import { resetSessions } from './mongo/session';
import { Store } from './mongo/store';
import { Oracle } from './oracle';
import { Blueprint, type Database } from './postgres/database';
import { type Build, Process, Slot, type Surroundings } from './process';
import type { Scenario } from './scenarios';
import { type Choice, EndlessError, type Policy, Scheduler } from './scheduler';
import { workflowNotFound } from './temporal';

/** How many processes and drivers there may be at once. */
const SLOTS = 6;
const SANDBOXES = 8;

/** What a document of the explorer must not be. */
const VALIDATORS: Readonly<Record<string, Document>> = {
  documents: { refused: { $ne: true } },
  owned: { refused: { $ne: true } },
};

/** The production code and the schema of its migrations, ready for any number of schedules. */
export class Subject {
  readonly blueprint: Blueprint;
  readonly slots: readonly Slot[];
  readonly sandboxes: readonly Sandbox[];
  readonly steering: Steering = { hasSwallowed: false };
  readonly build: Build;

  /** The parser must be loaded: see `loadParser`. */
  constructor(patches: readonly Patch[] = []) {
    const sources = new Sources(patches);
    this.slots = Array.from({ length: SLOTS }, (_, index) => new Slot(sources, index));
    this.sandboxes = Array.from({ length: SANDBOXES }, () => new Sandbox(sources));
    const [first] = this.slots;
    const imported = first?.modules.import('activities/postgres/migrate.ts');
    const { migrations } = imported as typeof PostgresMigrations;
    this.blueprint = new Blueprint([...exploredSql(migrations), TABLES]);
    this.build = definitionsOf(this.steering);
  }
}

export interface Report {
  readonly violations: readonly string[];
  readonly steps: number;
}

/** One schedule, from its beginning to its end. */
export class Schedule implements Workers {
  readonly scheduler: Scheduler;
  readonly #database: Database;
  readonly #store: Store;
  readonly #drivers: Driver[] = [];
  readonly #processes: (Process | undefined)[] = [];
  readonly #surroundings: Surroundings;
  readonly #oracle: Oracle;
  #sandbox = 0;
  #hasJanitor = false;
  #isDone = false;

  constructor(
    private readonly subject: Subject,
    private readonly scenario: Scenario,
    policy: Policy,
  ) {
    resetSessions();
    subject.steering.hasSwallowed = false;
    const atEnd: Policy = {
      choose: (step, choices) => (this.#isDone ? 0 : policy.choose(step, choices)),
    };
    this.scheduler = new Scheduler(atEnd);
    const clock = () => this.scheduler.nowMillis;
    this.#database = subject.blueprint.create(clock);
    this.#oracle = new Oracle(scenario, this.#database);
    this.#store = new Store(
      clock,
      VALIDATORS,
      (collection, document) => this.#oracle.written(collection, document),
      (transaction) => {
        this.scheduler.add({
          name: () => 'MongoDB ends an old transaction',
          after: TRANSACTION_LIFETIME,
          isEnabled: () => !transaction.hasEnded,
          act: () => this.#store.abort(transaction),
        });
      },
    );
    this.#surroundings = {
      scheduler: this.scheduler,
      database: this.#database,
      store: this.#store,
      signal: (workflow, name) => this.#signal(workflow, name),
      hasCompany: () =>
        this.#hasJanitor || this.#drivers.filter(({ isOver }) => !isOver).length > 1,
      crashed: (process) => {
        for (const driver of this.#drivers) driver.processEnded(process);
        // Somebody is there always, or starts anew: calls that were lost are looked for.
        const isAnyAlive = this.#processes.some((other) => other?.isAlive === true);
        if (!isAnyAlive) this.#open(process.slot.index);
      },
    };
    this.scheduler.injections.push(() => this.#injected());
  }

  async run(): Promise<Report> {
    try {
      for (const [index] of this.scenario.updates.entries()) this.#start(index, 'caller', index);
      await this.scheduler.run();
      this.#isDone = true;
      const unfinished = this.#drivers.filter(({ isOver }) => !isOver);
      for (const { options } of unfinished) this.#oracle.report(`${options.name} has no end`);
      if (unfinished.length === 0) {
        const alive = this.#processes.findIndex((process) => process?.isAlive === true);
        const home = Math.max(0, alive);
        for (const [index] of this.scenario.updates.entries()) this.#start(index, 'late', home);
        await this.scheduler.run();
        this.#oracle.judge(this.#drivers, this.#store);
      }
    } catch (error) {
      if (!(error instanceof EndlessError)) throw error;
      this.#oracle.report(error.message);
    }
    return { violations: this.#oracle.violations, steps: this.scheduler.step };
  }

  #start(index: number, role: string, home: number): void {
    const { kind, input } = this.scenario.updates[index] ?? this.#missing();
    const request: CrossStoreUpdateRequest = { definition: kind, token: input.token, input };
    const id = `${kind}/${input.token}`;
    const sandbox = this.subject.sandboxes[this.#sandbox] ?? this.#missing();
    this.#sandbox += 1;
    const options = {
      name: `${role} of ${input.token}:`,
      workflowId: id,
      runId: `run ${this.#sandbox}`,
      request,
    };
    this.#drivers.push(new Driver(options, this.scheduler, this, sandbox, home));
  }

  #missing(): never {
    throw new Error('the schedule has more of something than there is room for');
  }

  #injected(): Choice[] {
    if (this.#isDone) return [];
    const choices = this.#drivers.flatMap((driver) => driver.choices());
    const [first] = this.#drivers;
    const overdueMillis = this.#hasJanitor ? undefined : firstOverdueMillis(this.#database);
    if (overdueMillis !== undefined) {
      choices.push({
        name: () => 'a driver is late, and the janitor comes',
        act: () => {
          this.#hasJanitor = true;
          if (this.#processes[JANITOR]?.isAlive !== true) this.#open(JANITOR);
          const looks = [...this.scheduler.events].filter(({ isSweep }) => isSweep === true);
          this.scheduler.passTimeTo(overdueMillis + 1, new Set(looks));
        },
      });
    }
    if (first !== undefined && !first.isOver && this.#sandbox < SANDBOXES - 2 && !this.#isReset) {
      choices.push({
        name: () => `${first.options.name} is terminated, and started again`,
        act: () => {
          this.#isReset = true;
          first.terminate();
          this.#start(0, 'next run', 1);
        },
      });
    }
    return choices;
  }

  #isReset = false;

  processFor(driver: Driver): Process {
    for (let tried = 0; tried < SLOTS; tried += 1) {
      const index = (driver.home + tried) % SLOTS;
      const process = this.#processes[index];
      if (process?.isAlive !== true || tried === 0) {
        driver.home = index;
        return process?.isAlive === true ? process : this.#open(index);
      }
    }
    return this.#missing();
  }

  canMove(_driver: Driver): boolean {
    return this.#processes.filter((process) => process?.isAlive === true).length < SLOTS - 1;
  }

  #open(index: number): Process {
    const slot = this.subject.slots[index] ?? this.#missing();
    const process = new Process(slot, this.#surroundings, this.subject.build);
    this.#processes[index] = process;
    process.startSweeping();
    return process;
  }

  async #signal(workflow: string, name: string): Promise<void> {
    return await new Promise((resolve, reject) => {
      const what = () => `signal ${name} to ${workflow}`;
      const deliver = () => {
        const heard = this.#drivers.filter(
          ({ options, isOver }) => options.workflowId === workflow && !isOver,
        );
        for (const driver of heard) driver.signal(name);
        if (heard.length > 0) resolve();
        else reject(workflowNotFound());
      };
      const lose = () => {
        this.scheduler.remove(event);
        reject(new Error('a signal was lost'));
      };
      const event = this.scheduler.add({
        name: what,
        act: deliver,
        faults: () => [{ name: () => `${what()}: it is lost`, act: lose }],
      });
    });
  }
}

/** The process whose janitor is there when it is wanted; any other's may come as well. */
const JANITOR = 1;

/** In steps: after so many the server ends a transaction that its client has left open. */
const TRANSACTION_LIFETIME = 60;
