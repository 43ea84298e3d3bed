import { MongoNetworkError, MongoServerError } from 'mongodb';
import type { CallProgress, StoreCall } from '../store-call';
import type { ModelSession } from './session';
import type { Pause, Store } from './store';

/** An operation of the server, which may have to wait. */
export interface Running<Answer> {
  next(): IteratorResult<Pause, Answer>;
}

/** One that never has to. */
export function atOnce<Answer>(work: () => Answer): Running<Answer> {
  return { next: () => ({ done: true, value: work() }) };
}

export interface CallOptions {
  readonly isRead?: boolean;
  readonly isAuxiliary?: boolean;
  readonly session?: ModelSession | undefined;
}

/** Sends one command to the server: an await that the scheduler owns. */
export interface Connection {
  readonly store: Store;
  call<Answer>(name: string, options: CallOptions, run: () => Running<Answer>): Promise<Answer>;
}

export function storeCall<Answer>(
  name: string,
  { isRead = false, isAuxiliary = false, session }: CallOptions,
  run: () => Running<Answer>,
): StoreCall<Answer> {
  let running: Running<Answer> | undefined;
  let isStepwise = false;
  const advance = (): CallProgress<Answer> => {
    try {
      for (;;) {
        const step = (running ??= run()).next();
        if (step.done === true) return { at: 'done', answer: step.value };
        if (step.value !== 'boundary') return { at: 'blocked', by: step.value.for };
        if (isStepwise) return { at: 'boundary' };
      }
    } catch (error) {
      if (!(error instanceof MongoServerError)) throw error;
      return { at: 'failed', error };
    }
  };
  return {
    name: `mongo ${name}`,
    isRead,
    isAuxiliary,
    canPause: name.startsWith('upsert'),
    begin: (stepwise) => {
      isStepwise = stepwise;
      return advance();
    },
    resume: advance,
    breakConnection: () => {
      const error = new MongoNetworkError('connection closed');
      const label =
        name === 'commit' ? 'UnknownTransactionCommitResult' : 'TransientTransactionError';
      // As the driver labels it; the transaction stays open on the server.
      if (session !== undefined) error.addErrorLabel(label);
      return error;
    },
  };
}
