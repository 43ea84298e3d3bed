import type { Process } from './process';
import type { Choice, Event } from './scheduler';

/** Where a call has come to, in the store. */
export type CallProgress<Answer> =
  | { readonly at: 'done'; readonly answer: Answer }
  | { readonly at: 'failed'; readonly error: Error }
  | { readonly at: 'blocked'; readonly by: { readonly hasEnded: boolean } }
  | { readonly at: 'boundary' };

/** One call to a store: what it does there, and what a broken connection means. */
export interface StoreCall<Answer> {
  readonly name: string;
  /** Nothing of it outlives its connection: to lose its answer is to lose it. */
  readonly isRead: boolean;
  /** It only helps: what becomes of it is nobody's outcome. */
  readonly isAuxiliary?: boolean;
  /** Whether another may come in between its statements. */
  readonly canPause?: boolean;
  begin(isStepwise: boolean): CallProgress<Answer>;
  resume(): CallProgress<Answer>;
  /** What the store does when it has waited for too long; nothing where it waits for ever. */
  timeOut?(): CallProgress<Answer>;
  /** The connection breaks: what the store makes of it, and what the client hears. */
  breakConnection(): Error;
}

type Delivery = 'answer' | 'lose' | 'crash';

/** How many steps the rest of the world has before this goes on by itself. */
const LATE = 25;
const LOCK_TIMEOUT = 8;
const PAUSED = 14;

/** A call on its way: the events that it is, one after the other. */
export class CallInFlight<Answer> {
  #event: Event | undefined;
  #timeout: Event | undefined;
  #delivery: Delivery = 'answer';
  isSettled = false;
  /** Nothing of it is on its way to the store any more, or under way in it. */
  isFinished = false;

  constructor(
    private readonly process: Process,
    private readonly call: StoreCall<Answer>,
    private readonly settle: {
      readonly resolve: (answer: Answer) => void;
      readonly reject: (error: Error) => void;
    },
  ) {
    this.#wait(0);
  }

  get #name(): string {
    return `${this.process.name} ${this.call.name}`;
  }

  /** Its process is slow, or frozen. */
  postpone(): void {
    if (this.#event !== undefined) this.#event.readyAt = this.process.scheduler.step + LATE;
  }

  /** Nobody waits for it any more, and it never reaches the store. */
  drop(): void {
    this.#remove();
    this.#finish();
  }

  #finish(): void {
    this.isFinished = true;
    this.process.calls.delete(this);
  }

  #wait(after: number): void {
    const { scheduler } = this.process;
    this.#event = scheduler.add({
      name: () => this.#name,
      after,
      act: () => this.#begin('answer'),
      faults: () => this.#faults(),
    });
  }

  #begin(delivery: Delivery, isStepwise = false): void {
    this.#remove();
    this.#delivery = delivery;
    this.#proceed(this.call.begin(isStepwise));
  }

  #proceed(progress: CallProgress<Answer>): void {
    const { scheduler } = this.process;
    switch (progress.at) {
      case 'done':
        return this.#end(() => this.#resolve(progress.answer));
      case 'failed':
        return this.#end(() => this.#reject(progress.error));
      case 'boundary':
        this.#event = scheduler.add({
          name: () => `${this.#name} goes on`,
          after: PAUSED,
          act: () => this.#again(() => this.call.resume()),
        });
        return undefined;
      case 'blocked':
        this.#event = scheduler.add({
          name: () => `${this.#name} has its lock`,
          isEnabled: () => progress.by.hasEnded,
          act: () => this.#again(() => this.call.resume()),
        });
        if (this.call.timeOut === undefined) return undefined;
        this.#timeout = scheduler.add({
          name: () => `${this.#name} has waited too long`,
          after: LOCK_TIMEOUT,
          isEnabled: () => !progress.by.hasEnded,
          act: () => this.#again(() => this.call.timeOut?.() ?? { at: 'boundary' }),
        });
        return undefined;
    }
  }

  #again(next: () => CallProgress<Answer>): void {
    this.#remove();
    this.#proceed(next());
  }

  #end(deliver: () => void): void {
    this.#finish();
    if (this.#delivery === 'answer' && !this.isSettled) return deliver();
    if (this.#delivery === 'crash') return this.process.crash();
    return this.#reject(this.call.breakConnection());
  }

  #faults(): readonly Choice[] {
    const { call, process } = this;
    const choice = (name: string, act: () => void): Choice => ({
      name: () => `${this.#name}: ${name}`,
      act: () => {
        this.#remove();
        act();
      },
    });
    const fail = choice('it fails before', () => {
      this.#finish();
      this.#reject(call.breakConnection());
    });
    if (call.isAuxiliary === true) return [fail];
    const faults = [
      fail,
      choice('its process crashes before', () => process.crash()),
      choice('it is delayed past the timeout', () => this.#delay()),
    ];
    if (!call.isRead) {
      faults.push(
        choice('its answer is lost', () => this.#begin('lose')),
        choice('its process crashes after', () => this.#begin('crash')),
      );
    }
    if (call.canPause === true && process.hasCompany()) {
      faults.push(choice('it pauses between its statements', () => this.#begin('answer', true)));
    }
    return faults;
  }

  /** The client gives up; the store may carry it out all the same, later. */
  #delay(): void {
    this.#event = this.process.scheduler.add({
      name: () => `${this.#name}, late`,
      after: LATE,
      act: () => this.#begin(this.isSettled ? 'lose' : 'answer'),
    });
    this.process.passDeadlines();
  }

  /** The client has closed its connection. What is on its way may arrive all the same. */
  closeConnection(error: Error): void {
    this.#reject(error);
  }

  #resolve(answer: Answer): void {
    this.isSettled = true;
    this.settle.resolve(answer);
  }

  #reject(error: Error): void {
    this.isSettled = true;
    this.settle.reject(error);
  }

  #remove(): void {
    for (const event of [this.#event, this.#timeout]) {
      if (event !== undefined) this.process.scheduler.remove(event);
    }
    this.#event = undefined;
    this.#timeout = undefined;
  }
}
