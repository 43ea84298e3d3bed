import type { WorkflowStartOptions } from '@temporalio/client';
import type { AnyCrossStoreUpdate } from '../domain/definition';
import type { Json } from '../domain/json';
import { DEFINITION_ATTRIBUTE, OUTCOME_ATTRIBUTE, RUNNING } from '../domain/search-attributes';
import type { CrossStoreUpdateRequest } from '../domain/update-request';
import { detailsOf, summaryOf } from '../domain/web-ui';

interface Submission {
  readonly definition: AnyCrossStoreUpdate;
  readonly token: string;
  readonly input: Json;
  /** For display: the claim asks the definition again. */
  readonly entities: readonly string[];
  readonly fingerprint: string;
  readonly searchAttributes: boolean;
}

/**
 * A run that ended with an outcome is never run again under its token; one that failed or was
 * terminated is, and asks the ledger (clause 1).
 */
const REUSE_POLICY = 'ALLOW_DUPLICATE_FAILED_ONLY';

/**
 * Workflow tasks here take milliseconds. A worker that died with one is noticed after this, not
 * after Temporal's ten seconds.
 */
const WORKFLOW_TASK_TIMEOUT = '3 seconds';

/** How an update's workflow is started: what travels, and what the Web UI shows of it. */
export function startOptionsOf(submission: Submission) {
  const { definition, token, input, entities, fingerprint, searchAttributes } = submission;
  const request: CrossStoreUpdateRequest = {
    definition: definition.name,
    token,
    input,
    entities,
    legTimeoutMillis: definition.legTimeoutMillis,
    searchAttributes,
  };
  return {
    args: [request],
    workflowIdReusePolicy: REUSE_POLICY,
    workflowTaskTimeout: WORKFLOW_TASK_TIMEOUT,
    memo: { fingerprint },
    staticSummary: summaryOf(definition.name, token),
    staticDetails: detailsOf(definition, token, entities),
  } satisfies Partial<WorkflowStartOptions>;
}

/** Absent where the namespace lacks them: a start that names an unknown attribute is refused. */
export function searchAttributesOf(definition: AnyCrossStoreUpdate, registered: boolean) {
  if (!registered) return {};
  return {
    typedSearchAttributes: [
      { key: DEFINITION_ATTRIBUTE, value: definition.name },
      { key: OUTCOME_ATTRIBUTE, value: RUNNING },
    ],
  };
}
