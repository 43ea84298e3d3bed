import { randomUUID } from 'node:crypto';
import {
  type Client,
  isGrpcServiceError,
  type WorkflowExecutionInfo,
  WorkflowNotFoundError,
} from '@temporalio/client';
import { encodeWorkflowIdReusePolicy } from '@temporalio/common';
import { throwAsTwinwriteError } from '../client/temporal-errors';
import type { Outcome } from '../domain/outcome';
import { workflowIdOf } from '../domain/token';
import { BATCH, type Repair, type UpdateFinding, type WorkersOfStores } from './finding';
import { nameOf, readRows } from './ledgers';

/** The clocks of the stores and of Temporal differ, and a run ends after its update was settled. */
const MARGIN_MILLIS = 60_000;

type Run = Pick<WorkflowExecutionInfo, 'workflowId' | 'runId' | 'taskQueue'>;

/**
 * Starts the runs again whose updates PostgreSQL has lost: those that ended since it last ticked,
 * and that it does not know or has open. Both stores come to the outcome again, through the ledger;
 * whether PostgreSQL still takes them is for their callbacks to say, and they may overtake each
 * other.
 *
 * @returns the workflow ids that were looked after.
 */
export async function restartRuns(
  repair: Repair,
  { client, taskQueues }: WorkersOfStores,
  since: Date,
): Promise<Set<string>> {
  const from = new Date(since.getTime() - MARGIN_MILLIS).toISOString();
  const queues = taskQueues.map((name) => JSON.stringify(name)).join(', ');
  const query = `WorkflowType = "crossStoreUpdate" AND ExecutionStatus = "Completed" AND TaskQueue IN (${queues}) AND CloseTime >= "${from}"`;
  const newest = new Map<string, Run>();
  for await (const run of client.workflow.list({ query })) {
    // The newest run comes first; what an earlier one answered is its as well.
    if (!newest.has(run.workflowId)) newest.set(run.workflowId, run);
  }
  const runs = [...newest.values()].toReversed();
  for (let first = 0; first < runs.length; first += BATCH) {
    await restartLost(repair, client, runs.slice(first, first + BATCH));
  }
  return new Set(newest.keys());
}

/** How many questions to Temporal are under way at once. */
const CONCURRENCY = 16;

async function restartLost(repair: Repair, client: Client, runs: readonly Run[]): Promise<void> {
  const names = runs.map(({ workflowId }) => nameOf(workflowId));
  const rows = await readRows(repair.postgres, names);
  const runOf = new Map(runs.map((run) => [run.workflowId, run]));
  const next = rows.filter(({ state, isSettled }) => state === null || !isSettled).values();
  const work = async (): Promise<void> => {
    for (const { definition, token, state } of next) {
      const run = runOf.get(workflowIdOf(definition, token));
      // What was refused or undone has left nothing to be lost.
      if (run === undefined || (state === null && !(await wasApplied(client, run)))) continue;
      if (!repair.isDryRun) await startAgain(client, run);
      const found = state === null ? 'lost in PostgreSQL' : 'unsettled in PostgreSQL';
      repair.report({ what: 'update', definition, token, found, end: 'started again' });
    }
  };
  await Promise.all(Array.from({ length: CONCURRENCY }, work));
}

async function wasApplied(client: Client, { workflowId, runId }: Run): Promise<boolean> {
  const handle = client.workflow.getHandle(workflowId, runId);
  const outcome = (await handle.result()) as Outcome;
  return outcome.status === 'applied';
}

/** Looks after one update that only MongoDB's ledger knows. */
export async function restartUnknown(
  { isDryRun }: Repair,
  client: Client,
  name: { readonly definition: string; readonly token: string },
): Promise<Pick<UpdateFinding, 'end' | 'reason'>> {
  const workflowId = workflowIdOf(name.definition, name.token);
  const description = await client.workflow
    .getHandle(workflowId)
    .describe()
    .catch((error: unknown) => {
      if (error instanceof WorkflowNotFoundError) return undefined;
      return throwAsTwinwriteError(name)(error);
    });
  if (description === undefined) {
    return {
      end: 'needs somebody',
      reason: 'Temporal has forgotten its input: submit it again, or take it back in MongoDB',
    };
  }
  // Its driver finds that the claim is gone, and claims anew.
  if (description.status.name === 'RUNNING') return { end: 'goes on' };
  if (!isDryRun) await startAgain(client, description);
  return { end: 'started again' };
}

/** gRPC's. */
const ALREADY_EXISTS = 6;

/**
 * Starts a closed run once more, with what it was started with; as bytes, so that it takes no codec.
 * One that somebody else has started meanwhile is as good.
 */
async function startAgain(client: Client, { workflowId, runId, taskQueue }: Run): Promise<void> {
  const { namespace } = client.options;
  const { workflowService } = client.connection;
  const { history } = await workflowService.getWorkflowExecutionHistory({
    namespace,
    execution: { workflowId, runId },
    maximumPageSize: 1,
  });
  const started = history?.events?.[0]?.workflowExecutionStartedEventAttributes;
  if (started == null)
    throw new Error(`the history of ${workflowId} does not begin with its start`);
  const { workflowType, input, memo, searchAttributes, header, workflowTaskTimeout } = started;
  try {
    await workflowService.startWorkflowExecution({
      namespace,
      workflowId,
      workflowType: workflowType ?? null,
      taskQueue: { name: taskQueue },
      input: input ?? null,
      memo: memo ?? null,
      searchAttributes: searchAttributes ?? null,
      header: header ?? null,
      workflowTaskTimeout: workflowTaskTimeout ?? null,
      userMetadata: history?.events?.[0]?.userMetadata ?? null,
      identity: 'twinwrite epoch raise',
      requestId: randomUUID(),
      workflowIdReusePolicy: encodeWorkflowIdReusePolicy('ALLOW_DUPLICATE') ?? null,
    });
  } catch (error) {
    const code: number | undefined = isGrpcServiceError(error) ? error.code : undefined;
    if (code !== ALREADY_EXISTS) throwAsTwinwriteError({})(error);
  }
}
