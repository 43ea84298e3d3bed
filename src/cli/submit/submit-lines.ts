import { setTimeout as pause } from 'node:timers/promises';
import type { Twinwrite } from '../../client';
import type { AnyCrossStoreUpdate } from '../../domain/definition';
import { describeIssues, isTwinwriteError, type TwinwriteError } from '../../domain/errors';
import type { Outcome } from '../../domain/outcome';
import type { JsonLine } from './json-lines';
import type { LineEnd } from './tally';

/** What became of one line. */
export interface LineReport {
  readonly line: number;
  readonly end: LineEnd;
  readonly token?: string;
  readonly outcome?: Outcome;
  readonly error?: { readonly code: string; readonly message: string };
}

export interface SubmitLinesOptions {
  readonly twinwrite: Twinwrite;
  readonly definition: AnyCrossStoreUpdate;
  readonly concurrency: number;
  readonly timeoutMillis: number | undefined;
  /** Is told of each line, in the order in which they end. */
  readonly report: (report: LineReport) => void;
}

/**
 * While Temporal does not answer, a line is tried again after these pauses; then the whole run
 * gives up.
 */
const PAUSES_MILLIS = [500, 1_000, 2_000, 4_000];

/**
 * Submits lines, so many at once, and waits for their outcomes; it holds no more lines than that.
 * It stops reading when Temporal stays away: the token of each line makes running it again safe.
 * Answers whether it came to the end of the lines.
 */
export async function submitLines(
  lines: AsyncGenerator<JsonLine>,
  options: SubmitLinesOptions,
): Promise<{ readonly isFinished: boolean }> {
  let isFinished = true;
  const work = async (): Promise<void> => {
    while (isFinished) {
      const next = await lines.next();
      if (next.done === true) return;
      const report = await submitLine(next.value, options);
      options.report(report);
      if (report.error?.code === 'Unavailable') isFinished = false;
    }
  };
  await Promise.all(Array.from({ length: options.concurrency }, work));
  return { isFinished };
}

async function submitLine(line: JsonLine, options: SubmitLinesOptions): Promise<LineReport> {
  if ('problem' in line) return invalid(line.line, 'InvalidLine', line.problem);
  for (const pauseMillis of [...PAUSES_MILLIS, undefined]) {
    try {
      return await settle(line.line, line.value, options);
    } catch (error) {
      // The definition's own code failed on this line; the others are none the worse.
      if (!isTwinwriteError(error)) return unexpected(line.line, error);
      if (error.code !== 'Unavailable' || pauseMillis === undefined)
        return failed(line.line, error);
      await pause(pauseMillis);
    }
  }
  throw new Error('unreachable: the last attempt returns');
}

async function settle(
  line: number,
  input: unknown,
  { twinwrite, definition, timeoutMillis }: SubmitLinesOptions,
): Promise<LineReport> {
  const waiting = timeoutMillis === undefined ? {} : { timeoutMillis };
  const handle = await twinwrite.submit(definition, input);
  const outcome = await handle.outcome(waiting).catch((error: unknown) => {
    if (!isTwinwriteError(error, 'EndedWithoutOutcome')) throw error;
    // Its workflow was terminated: a new run asks the ledger.
    return twinwrite.execute(definition, input, waiting);
  });
  return { line, end: outcome.status, token: handle.token, outcome };
}

function failed(line: number, error: TwinwriteError): LineReport {
  if (isTwinwriteError(error, 'InvalidInput')) {
    return invalid(line, error.code, describeIssues(error.fields.issues));
  }
  if (error.code === 'TokenReused') return invalid(line, error.code, error.message, error.token);
  return { ...invalid(line, error.code, error.message, error.token), end: 'failed' };
}

function unexpected(line: number, error: unknown): LineReport {
  const message = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
  return { line, end: 'failed', error: { code: 'Unexpected', message } };
}

function invalid(line: number, code: string, message: string, token?: string): LineReport {
  const known = token === undefined ? {} : { token };
  return { line, end: 'invalid', ...known, error: { code, message } };
}
