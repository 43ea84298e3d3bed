import type { WorkflowExecutionDescription } from '@temporalio/client';
import type { Outcome } from '../../domain/outcome';
import type { RetryCommandOptions } from '../commands/retry';
import {
  type FoundUpdate,
  outcomeOfEnded,
  type RunningState,
  runningStateOf,
  withFoundUpdate,
} from '../found-update';
import { recordStep } from '../intervene';
import { createOutput, type Output } from '../output';
import { findStanding, type Parked } from '../standing';
import { describeRetry } from './describe';

/** What the command found, and did. */
export interface RetryReport {
  readonly definition: string;
  readonly token: string;
  /** How it stood when it was found. */
  readonly state: RunningState | Outcome['status'];
  readonly parked: Parked | null;
  readonly outcome: Outcome | null;
  readonly isDryRun: boolean;
  /** Whether it was told to try again now; in a dry run, whether it would have been. */
  readonly retried: boolean;
}

/** Tells a parked update to try again now. */
export async function retry(
  name: string,
  token: string,
  options: RetryCommandOptions,
): Promise<void> {
  const output = createOutput(options);
  await withFoundUpdate(name, token, options.config, async (found) => {
    const { description } = found;
    const ending =
      description?.status.name === 'RUNNING'
        ? await retryRunning(found, description, options, output)
        : await reportEnded(found);
    const { dryRun: isDryRun = false } = options;
    const report: RetryReport = { definition: name, token, isDryRun, ...ending };
    output.result(report, describeRetry(report));
  });
}

type Ending = Pick<RetryReport, 'state' | 'parked' | 'outcome' | 'retried'>;

async function retryRunning(
  { definition, token, twinwrite, handle, entry }: FoundUpdate,
  description: WorkflowExecutionDescription,
  { dryRun = false, reason = '' }: RetryCommandOptions,
  output: Output,
): Promise<Ending> {
  const standing = await findStanding(twinwrite.client, handle, description, entry);
  const state = runningStateOf(standing);
  // One that is not parked would not listen: what it does next it does by itself.
  const retried = state === 'parked' || state === 'unknown';
  if (retried && !dryRun) {
    await recordStep({ verb: 'retry', definition, token, reason }, output);
    // The workflow reads nothing of it: its history keeps the reason.
    await handle.signal('retry', reason);
  }
  return { state, parked: standing.parked ?? null, outcome: null, retried };
}

async function reportEnded(found: FoundUpdate): Promise<Ending> {
  const outcome = await outcomeOfEnded(found);
  return { state: outcome.status, parked: null, outcome, retried: false };
}
