import { type Client, WorkflowExecutionAlreadyStartedError } from '@temporalio/client';
import { TwinwriteError } from '../domain/errors';
import { fingerprintOf } from '../domain/fingerprint';
import { workflowIdOf } from '../domain/token';
import type { SearchAttributeProbe } from './search-attribute-probe';
import { type Start, searchAttributesOf, startOptionsOf } from './start-options';

export interface Starting {
  readonly client: Client;
  readonly probe: SearchAttributeProbe;
  readonly taskQueue: string;
}

/**
 * Starts an update's workflow, or joins the run that has its token, and answers that run's id. Made
 * any number of times, by anybody, at any moment: one run at a time has the token, and one that
 * ended with an outcome keeps it. Where Temporal has forgotten that, the ledger answers (clause 1).
 *
 * @throws TwinwriteError `TokenReused`
 */
export async function startOrJoin(
  { client, probe, taskQueue }: Starting,
  start: Start,
): Promise<string> {
  const { definition, token } = start;
  const fingerprint = fingerprintOf(start.input);
  const workflowId = workflowIdOf(definition, token);
  const searchAttributes = await probe.areRegistered();
  try {
    const started = await client.workflow.start('crossStoreUpdate', {
      ...startOptionsOf(start, { fingerprint, searchAttributes }),
      ...searchAttributesOf(definition, searchAttributes),
      taskQueue,
      workflowId,
    });
    return started.firstExecutionRunId;
  } catch (error) {
    if (!(error instanceof WorkflowExecutionAlreadyStartedError)) throw error;
    const { memo, runId } = await client.workflow.getHandle(workflowId).describe();
    if (memo?.['fingerprint'] === fingerprint) return runId;
    throw new TwinwriteError('TokenReused', { definition, token });
  }
}
