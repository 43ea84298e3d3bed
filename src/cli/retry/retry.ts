import {
  type Client,
  type WorkflowExecutionDescription,
  type WorkflowHandle,
  WorkflowNotFoundError,
} from '@temporalio/client';
import type { PostgresEntry } from '../../activities/ledger-entries';
import { throwAsTwinwriteError } from '../../client/temporal-errors';
import { readCommandConfig } from '../../config';
import { TwinwriteError } from '../../domain/errors';
import type { Outcome } from '../../domain/outcome';
import { workflowIdOf } from '../../domain/token';
import type { RetryCommandOptions } from '../commands/retry';
import { lookUpPostgres, recordedOutcome, throwUnknown } from '../look-up';
import { createOutput } from '../output';
import { findStanding, type Parked, type Standing } from '../standing';
import { connectToTemporal } from '../temporal';
import { describeRetry } from './describe';

/** What the command found, and did. */
export interface RetryReport {
  readonly definition: string;
  readonly token: string;
  /** How it stood when it was found; `unknown` where no worker answers and no ledger says. */
  readonly state: 'parked' | 'waiting' | 'running' | 'unknown' | Outcome['status'];
  readonly parked: Parked | null;
  readonly outcome: Outcome | null;
  /** Whether it was told to try again now. */
  readonly retried: boolean;
}

/** Tells a parked update to try again now. */
export async function retry(
  name: string,
  token: string,
  options: RetryCommandOptions,
): Promise<void> {
  const output = createOutput(options);
  const entry = await lookUpPostgres(readCommandConfig().postgresUrl, name, token);
  const twinwrite = await connectToTemporal();
  try {
    // A member of a group has no workflow of its own: the ledger names the one that it ran in.
    const workflowId = entry?.workflow ?? workflowIdOf(name, token);
    const handle = twinwrite.client.workflow.getHandle(workflowId);
    const description = await describe(handle, name, token);
    if (description === undefined && !entry) await throwUnknown(name, token, options.config);
    const found =
      description?.status.name === 'RUNNING'
        ? await retryRunning(twinwrite.client, handle, description, entry)
        : await reportEnded(name, token, handle, description, entry);
    const report = { definition: name, token, ...found };
    output.result(report, describeRetry(report));
  } finally {
    await twinwrite.close();
  }
}

type Found = Omit<RetryReport, 'definition' | 'token'>;

async function describe(
  handle: WorkflowHandle,
  definition: string,
  token: string,
): Promise<WorkflowExecutionDescription | undefined> {
  try {
    return await handle.describe();
  } catch (error) {
    if (error instanceof WorkflowNotFoundError) return undefined;
    return throwAsTwinwriteError({ definition, token })(error);
  }
}

async function retryRunning(
  client: Client,
  handle: WorkflowHandle,
  description: WorkflowExecutionDescription,
  entry: PostgresEntry | null | undefined,
): Promise<Found> {
  const standing = await findStanding(client, handle, description, entry);
  const state = stateOf(standing);
  // One that is not parked would not listen: what it does next it does by itself.
  const retried = state === 'parked' || state === 'unknown';
  if (retried) await handle.signal('retry');
  return { state, parked: standing.parked ?? null, outcome: null, retried };
}

function stateOf({ parked, progress }: Standing): RetryReport['state'] {
  if (parked === undefined) return 'unknown';
  if (parked !== null) return 'parked';
  return progress?.done.at(-1)?.answer === 'waiting' ? 'waiting' : 'running';
}

/** The ledger is the authority on a token; a workflow may have ended without an outcome. */
async function reportEnded(
  definition: string,
  token: string,
  handle: WorkflowHandle,
  description: WorkflowExecutionDescription | undefined,
  entry: PostgresEntry | null | undefined,
): Promise<Found> {
  const isDone = description?.status.name === 'COMPLETED';
  const outcome =
    (entry ? recordedOutcome(entry) : undefined) ??
    (isDone ? ((await handle.result()) as Outcome) : undefined);
  if (outcome === undefined) throw new TwinwriteError('EndedWithoutOutcome', { definition, token });
  return { state: outcome.status, parked: null, outcome, retried: false };
}
