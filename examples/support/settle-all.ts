import { type CrossStoreUpdate, type InputOf, isTwinwriteError, type Twinwrite } from 'twinwrite';
import type { z } from 'zod';

/** What the client was told about one update: the outcome, or that the input was not let in. */
export type Answer = 'applied' | 'compensated' | 'refused' | 'invalid';

/** One line of the client's journal. The verdict holds it against the stores. */
export interface Entry<Input> {
  readonly input: Input;
  readonly answer: Answer;
  /** Why it was not applied. */
  readonly reason: string;
  /** From the call to its answer. */
  readonly millis: number;
}

export interface SettleOptions {
  /** How many updates are in flight at once. */
  readonly concurrency: number;
  readonly onBegun?: () => void;
  readonly onSettled: (answer: Answer) => void;
  /** Aborted, no further update is begun. */
  readonly signal: AbortSignal;
}

/**
 * Runs all updates to their outcomes through the client, some at a time, and keeps a journal in the
 * order of the inputs.
 */
export async function settleAll<Schema extends z.ZodType, Result>(
  twinwrite: Twinwrite,
  definition: CrossStoreUpdate<Schema, Result>,
  inputs: readonly InputOf<Schema>[],
  { concurrency, onBegun, onSettled, signal }: SettleOptions,
): Promise<Entry<InputOf<Schema>>[]> {
  const journal: Entry<InputOf<Schema>>[] = [];
  // One iterator for all lanes: each input is taken once.
  const queue = inputs.entries();
  const lane = async (): Promise<void> => {
    for (const [index, input] of queue) {
      if (signal.aborted) return;
      const begunMillis = performance.now();
      onBegun?.();
      const { answer, reason } = await settle(twinwrite, definition, input);
      journal[index] = { input, answer, reason, millis: performance.now() - begunMillis };
      onSettled(answer);
    }
  };
  await Promise.all(Array.from({ length: Math.min(concurrency, inputs.length) }, lane));
  return journal;
}

/** Temporal may be too busy to answer in time; the token makes it safe to call again. */
const CALLS = 5;

async function settle<Schema extends z.ZodType, Result>(
  twinwrite: Twinwrite,
  definition: CrossStoreUpdate<Schema, Result>,
  input: InputOf<Schema>,
): Promise<{ answer: Answer; reason: string }> {
  for (let call = 1; ; call += 1) {
    try {
      const outcome = await twinwrite.execute(definition, input);
      const reason = outcome.status === 'applied' ? '' : outcome.reason.message;
      return { answer: outcome.status, reason };
    } catch (error) {
      if (isTwinwriteError(error, 'InvalidInput')) {
        const issues = error.fields.issues.map(({ path, reason }) => `${path}: ${reason}`);
        return { answer: 'invalid', reason: issues.join('; ') };
      }
      if (isTwinwriteError(error, 'TokenReused')) {
        return { answer: 'invalid', reason: 'its token was used before, with another input' };
      }
      if (!isTwinwriteError(error, 'Unavailable') || call === CALLS) throw error;
    }
  }
}
