/**
 * Owns every await of a schedule. What waits is an event: a call to a store, a timer, an attempt to
 * be begun. Whenever nothing can go on by itself, one thing is chosen to happen.
 *
 * Choice 0 is always what a healthy world does next: the oldest event, without a fault. Every other
 * choice is a deviation, so a schedule is the list of its deviations, and schedules with few of them
 * can be counted out (compare "delay-bounded scheduling", Emmi, Qadeer, Rakamarić, POPL 2011).
 */
export interface Choice {
  readonly name: () => string;
  readonly act: () => void;
}

export interface EventOptions {
  readonly name: () => string;
  /** What a healthy world does with it. */
  readonly act: () => void;
  /** Whether it could happen now. */
  readonly isEnabled?: () => boolean;
  /** What else may become of it, when it would be next. */
  readonly faults?: () => readonly Choice[];
  /** After so many steps it is next by itself; before, only by choice, or when nothing else is. */
  readonly after?: number;
  /** Of the virtual clock: such an event comes when nothing else is left to happen. */
  readonly dueMillis?: number;
  /** Of those that look for lost calls: no deadline, and of no attempt. */
  readonly isSweep?: boolean;
}

export interface Event extends EventOptions {
  readyAt: number;
  dueMillis?: number;
}

/** Says which choice is taken at a step: 0 unless it deviates. */
export interface Policy {
  /** To look at the choices costs time: most steps take the first one. */
  choose(step: number, choices: () => readonly Choice[]): number;
}

/** How many steps the rest of the world has before what is slow happens. */
const SLOW = 12;

/** A schedule that needs more has no end. */
const MAX_STEPS = 900;

export class Scheduler {
  step = 0;
  nowMillis = 1_000;
  readonly #events = new Set<Event>();
  /** What may come in anywhere. */
  readonly injections: (() => readonly Choice[])[] = [];
  /** Called after each step. */
  onStep: () => void = () => {};
  trace: ((line: string) => void) | undefined;

  constructor(private readonly policy: Policy) {}

  add(options: EventOptions): Event {
    // The very object, and no copy of it: there are many.
    const event = Object.assign(options, { readyAt: this.step + (options.after ?? 0) }) as Event;
    this.#events.add(event);
    return event;
  }

  /** Time that passes for one process only: the deadlines of the others come later by as much. */
  passTimeTo(millis: number, own: ReadonlySet<Event>): void {
    const passedMillis = millis - this.nowMillis;
    if (passedMillis <= 0) return;
    this.nowMillis = millis;
    for (const event of this.#events) {
      if (event.dueMillis !== undefined && !own.has(event)) event.dueMillis += passedMillis;
    }
  }

  remove(event: Event): void {
    this.#events.delete(event);
  }

  get events(): ReadonlySet<Event> {
    return this.#events;
  }

  /** Until nothing is left that could happen. */
  async run(): Promise<void> {
    // The process itself has its turn once: ticks alone would leave it none.
    await new Promise((resolve) => setImmediate(resolve));
    for (;;) {
      await quiet();
      this.onStep();
      const next = this.#next();
      if (next === undefined) return;
      if (this.step >= MAX_STEPS) {
        throw new EndlessError([...this.#events].map(({ name }) => name()));
      }
      const chosen = this.policy.choose(this.step, () => this.#choices(next));
      const choice = chosen === 0 ? undefined : this.#choices(next)[chosen];
      this.trace?.(`${this.step}${chosen === 0 ? '' : `=${chosen}`} ${(choice ?? next).name()}`);
      this.step += 1;
      this.nowMillis += 2;
      if (choice === undefined) this.#take(next);
      else choice.act();
    }
  }

  /** The oldest that is ready; else the one that will be; else what the clock brings. */
  #next(): Event | undefined {
    let best: Event | undefined;
    let bestRank = Infinity;
    for (const event of this.#events) {
      const ranked = rank(event, this);
      if (ranked >= bestRank || event.isEnabled?.() === false) continue;
      // Asked, a timer may have moved.
      const moved = rank(event, this);
      if (moved >= bestRank) continue;
      best = event;
      bestRank = moved;
    }
    return best;
  }

  #choices(next: Event): Choice[] {
    const normal = (event: Event): Choice => ({
      name: event.name,
      act: () => this.#take(event),
    });
    const others: Choice[] = [];
    let hasCompany = false;
    for (const event of this.#events) {
      if (event === next || event.dueMillis !== undefined) continue;
      if (event.isEnabled?.() === false) continue;
      hasCompany = true;
      // One that is ready comes before this one when this one is slow.
      if (event.readyAt > this.step) others.push(normal(event));
    }
    if (hasCompany && next.dueMillis === undefined) others.push(...this.#slow(next));
    const injected = this.injections.flatMap((inject) => inject());
    return [normal(next), ...(next.faults?.() ?? []), ...others, ...injected];
  }

  /** By one step of everybody else, or by many. */
  #slow(event: Event): Choice[] {
    const postpone = (steps: number) => () => {
      event.readyAt = this.step + steps;
    };
    return [
      { name: () => `${event.name()}: another one comes first`, act: postpone(1) },
      { name: () => `${event.name()}: it is slow`, act: postpone(SLOW) },
    ];
  }

  #take(event: Event): void {
    this.#events.delete(event);
    if (event.dueMillis !== undefined) this.nowMillis = Math.max(this.nowMillis, event.dueMillis);
    event.act();
  }
}

/** Smaller is sooner. */
function rank({ readyAt, dueMillis }: Event, { step, nowMillis }: Scheduler): number {
  if (dueMillis !== undefined && dueMillis > nowMillis) return 1e6 + dueMillis;
  return readyAt <= step ? readyAt : 1e3 + readyAt;
}

export class EndlessError extends Error {
  constructor(readonly waiting: readonly string[]) {
    super(`the schedule has no end; what waits: ${waiting.join(', ')}`);
  }
}

/** Everything that could go on by itself has gone on: a tick comes when no promise is left to. */
const quiet = (): Promise<void> => new Promise((resolve) => process.nextTick(resolve));
