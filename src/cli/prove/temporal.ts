import { WorkflowNotFoundError } from '@temporalio/client';
import { defaultPayloadConverter } from '@temporalio/common';
import { throwAsTwinwriteError } from '../../client/temporal-errors';
import { isTwinwriteError } from '../../domain/errors';
import type { Outcome } from '../../domain/outcome';
import type { CrossStoreUpdateRequest } from '../../domain/update-request';
import { legsOf } from '../show/legs';
import { connectToTemporal } from '../temporal';
import type { TemporalEvidence } from './verdict';

interface TemporalAnswer {
  readonly evidence: TemporalEvidence | null | undefined;
  readonly input: unknown;
}

/**
 * What Temporal's history tells of an update. Its absence is evidence as well: null when Temporal
 * has forgotten it, nothing when it does not answer.
 */
export async function askTemporal(definition: string, token: string): Promise<TemporalAnswer> {
  try {
    return await readHistory(definition, token);
  } catch (error) {
    if (isTwinwriteError(error, 'Unavailable')) return { evidence: undefined, input: undefined };
    throw error;
  }
}

async function readHistory(definition: string, token: string): Promise<TemporalAnswer> {
  const twinwrite = await connectToTemporal();
  try {
    const handle = twinwrite.client.workflow.getHandle(
      twinwrite.handle(definition, token).workflowId,
    );
    const description = await handle.describe();
    const history = await handle.fetchHistory();
    const outcome =
      description.status.name === 'COMPLETED' ? ((await handle.result()) as Outcome) : null;
    const steps = legsOf(history, description).map(({ leg, title, answer, attempts }) => ({
      leg,
      title,
      answer,
      attempts,
    }));
    const { workflowId, runId, status } = description;
    const started = history.events?.[0]?.workflowExecutionStartedEventAttributes;
    return {
      evidence: { workflowId, runId, status: status.name, outcome, steps },
      input: inputOf(started?.input?.payloads?.[0]),
    };
  } catch (error) {
    if (error instanceof WorkflowNotFoundError) return { evidence: null, input: undefined };
    return throwAsTwinwriteError({ definition, token })(error);
  } finally {
    await twinwrite.close();
  }
}

type Payload = Parameters<typeof defaultPayloadConverter.fromPayload>[0];

/** Nothing where a codec has encrypted it. */
function inputOf(payload: Payload | null | undefined): unknown {
  try {
    if (!payload) return undefined;
    return defaultPayloadConverter.fromPayload<CrossStoreUpdateRequest>(payload).input;
  } catch {
    return undefined;
  }
}
