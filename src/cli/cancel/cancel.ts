import { randomUUID } from 'node:crypto';
import type { WorkflowExecutionDescription } from '@temporalio/client';
import type { PostgresEntry } from '../../activities/ledger-entries';
import { throwAsTwinwriteError } from '../../client/temporal-errors';
import { isTwinwriteError } from '../../domain/errors';
import type { Outcome } from '../../domain/outcome';
import type { CancelCommandOptions } from '../commands/cancel';
import {
  type FoundUpdate,
  outcomeOfEnded,
  type RunningState,
  runningStateOf,
  withFoundUpdate,
} from '../found-update';
import { recordStep } from '../intervene';
import { createOutput, type Output } from '../output';
import { findStanding } from '../standing';
import { describeCancel } from './describe';

/** What taking an update back leads to, by what the ledger says now. */
export type Prospect =
  /** Nothing is written yet: it never will be. */
  | 'refused'
  /** It is undone in both stores. */
  | 'compensated'
  /** It has no undo, and goes on. */
  | 'applied'
  /** The ledger was not asked. */
  | 'unknown';

/** What the command found, and did. */
export interface CancelReport {
  readonly definition: string;
  readonly token: string;
  /** How it stood when it was found. */
  readonly state: RunningState | Outcome['status'];
  readonly prospect: Prospect | null;
  readonly isDryRun: boolean;
  /** Whether it was asked for; in a dry run, whether it would have been. */
  readonly requested: boolean;
  /** Null while it goes on. */
  readonly outcome: Outcome | null;
}

/** Whoever cancels wants to know what became of it, and not to wait for a parked undo. */
const OUTCOME_WITHIN_MILLIS = 5_000;

/** Asks for an update to be taken back. */
export async function cancel(
  name: string,
  token: string,
  options: CancelCommandOptions,
): Promise<void> {
  const output = createOutput(options);
  await withFoundUpdate(name, token, options.config, async (found) => {
    const { description } = found;
    const ending =
      description?.status.name === 'RUNNING'
        ? await cancelRunning(found, description, options, output)
        : await reportEnded(found);
    const { dryRun: isDryRun = false } = options;
    const report: CancelReport = { definition: name, token, isDryRun, ...ending };
    output.result(report, describeCancel(report));
  });
}

type Ending = Pick<CancelReport, 'state' | 'prospect' | 'requested' | 'outcome'>;

async function cancelRunning(
  found: FoundUpdate,
  description: WorkflowExecutionDescription,
  { dryRun = false, reason = '' }: CancelCommandOptions,
  output: Output,
): Promise<Ending> {
  const { definition, token, twinwrite, handle, entry } = found;
  const state = runningStateOf(await findStanding(twinwrite.client, handle, description, entry));
  const ending = { state, prospect: prospectOf(entry), requested: true, outcome: null };
  if (dryRun) return ending;
  await recordStep({ verb: 'cancel', definition, token, reason }, output);
  await requestCancel(found, reason);
  return { ...ending, outcome: await awaitOutcome(found) };
}

/** The client's own call has no room for a reason, which the history keeps. */
async function requestCancel(found: FoundUpdate, reason: string): Promise<void> {
  const { definition, token, twinwrite, handle } = found;
  const { namespace, identity } = twinwrite.client.options;
  await twinwrite.client.workflowService
    .requestCancelWorkflowExecution({
      namespace,
      identity,
      requestId: randomUUID(),
      workflowExecution: { workflowId: handle.workflowId },
      reason,
    })
    .catch(throwAsTwinwriteError({ definition, token }));
}

async function awaitOutcome({ definition, token, twinwrite }: FoundUpdate) {
  try {
    const handle = twinwrite.handle(definition, token);
    return await handle.outcome({ timeoutMillis: OUTCOME_WITHIN_MILLIS });
  } catch (error) {
    if (isTwinwriteError(error, 'StillRunning')) return null;
    throw error;
  }
}

function prospectOf(entry: PostgresEntry | null | undefined): Prospect {
  if (entry === undefined) return 'unknown';
  if (entry === null || entry.postgresLeg === 'waiting') return 'refused';
  return entry.undoable === false ? 'applied' : 'compensated';
}

async function reportEnded(found: FoundUpdate): Promise<Ending> {
  const outcome = await outcomeOfEnded(found);
  return { state: outcome.status, prospect: null, requested: false, outcome };
}
