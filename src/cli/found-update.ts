import {
  type WorkflowExecutionDescription,
  type WorkflowHandle,
  WorkflowNotFoundError,
} from '@temporalio/client';
import type { PostgresEntry } from '../activities/ledger-entries';
import type { Twinwrite } from '../client';
import { throwAsTwinwriteError } from '../client/temporal-errors';
import { readCommandConfig } from '../config';
import { TwinwriteError } from '../domain/errors';
import type { Outcome } from '../domain/outcome';
import { workflowIdOf } from '../domain/token';
import { lookUpPostgres, recordedOutcome, throwUnknown } from './look-up';
import type { Standing } from './standing';
import { connectToTemporal } from './temporal';

/** An update as an operator's command meets it: what Temporal and the ledger know of it. */
export interface FoundUpdate {
  readonly definition: string;
  readonly token: string;
  readonly twinwrite: Twinwrite;
  readonly handle: WorkflowHandle;
  /** Nothing when Temporal has forgotten it. */
  readonly description: WorkflowExecutionDescription | undefined;
  /** What the ledger says: nothing known is null, nobody to ask is undefined. */
  readonly entry: PostgresEntry | null | undefined;
}

/**
 * Finds an update and does something with it.
 *
 * @throws UsageError for a misspelled name; TwinwriteError `UnknownUpdate`, `Unavailable`
 */
export async function withFoundUpdate(
  definition: string,
  token: string,
  configFile: string,
  work: (found: FoundUpdate) => Promise<void>,
): Promise<void> {
  const entry = await lookUpPostgres(readCommandConfig().postgresUrl, definition, token);
  const twinwrite = await connectToTemporal();
  try {
    // A member of a group has no workflow of its own: the ledger names the one that it ran in.
    const workflowId = entry?.workflow ?? workflowIdOf(definition, token);
    const handle = twinwrite.client.workflow.getHandle(workflowId);
    const description = await describe(handle, definition, token);
    if (description === undefined && !entry) await throwUnknown(definition, token, configFile);
    await work({ definition, token, twinwrite, handle, description, entry });
  } finally {
    await twinwrite.close();
  }
}

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

/**
 * The outcome of an update that no workflow runs. The ledger is the authority on a token; a workflow
 * may have ended without an outcome.
 *
 * @throws TwinwriteError `EndedWithoutOutcome`
 */
export async function outcomeOfEnded(found: FoundUpdate): Promise<Outcome> {
  const { definition, token, handle, description, entry } = found;
  const recorded = entry ? recordedOutcome(entry) : undefined;
  if (recorded !== undefined) return recorded;
  if (description?.status.name === 'COMPLETED') return (await handle.result()) as Outcome;
  throw new TwinwriteError('EndedWithoutOutcome', { definition, token });
}

/** How an update stands that a workflow runs; `unknown` where no worker answers and no ledger says. */
export type RunningState = 'parked' | 'waiting' | 'running' | 'unknown';

export function runningStateOf({ parked, progress }: Standing): RunningState {
  if (parked === undefined) return 'unknown';
  if (parked !== null) return 'parked';
  return progress?.done.at(-1)?.answer === 'waiting' ? 'waiting' : 'running';
}
