import type { WorkflowStartOptions } from '@temporalio/client';
import type { AnyCrossStoreUpdate } from '../domain/definition';
import type { ExpectedVersions } from '../domain/expectation';
import type { Json } from '../domain/json';
import { DEFINITION_ATTRIBUTE, OUTCOME_ATTRIBUTE, RUNNING } from '../domain/search-attributes';
import type { CrossStoreUpdateRequest } from '../domain/update-request';
import { detailsOf, summaryOf } from '../domain/web-ui';
import type { Admission } from './admission';

/** What an update is started with: plain data, which may lie in an outbox meanwhile. */
export interface Start {
  readonly definition: string;
  readonly token: string;
  readonly input: Json;
  /** For display: the claim asks the definition again. */
  readonly entities: readonly string[];
  readonly legTimeoutMillis: number;
  /** What the Web UI says of it. */
  readonly details: string;
  /** The versions that the caller has read of documents. */
  readonly expect?: ExpectedVersions;
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

export function startOf(
  definition: AnyCrossStoreUpdate,
  { input, token, entities, expect }: Admission,
): Start {
  const { name, legTimeoutMillis } = definition;
  const details = detailsOf(definition, token, entities);
  const expected = expect === undefined ? {} : { expect };
  return { definition: name, token, input, entities, legTimeoutMillis, details, ...expected };
}

/** How an update's workflow is started: what travels, and what the Web UI shows of it. */
export function startOptionsOf(
  start: Start,
  { fingerprint, searchAttributes }: { fingerprint: string; searchAttributes: boolean },
) {
  const { details, ...update } = start;
  const request: CrossStoreUpdateRequest = { ...update, searchAttributes };
  return {
    args: [request],
    workflowIdReusePolicy: REUSE_POLICY,
    workflowTaskTimeout: WORKFLOW_TASK_TIMEOUT,
    memo: { fingerprint },
    staticSummary: summaryOf(start.definition, start.token),
    staticDetails: details,
  } satisfies Partial<WorkflowStartOptions>;
}

/** Absent where the namespace lacks them: a start that names an unknown attribute is refused. */
export function searchAttributesOf(definition: string, registered: boolean) {
  if (!registered) return {};
  return {
    typedSearchAttributes: [
      { key: DEFINITION_ATTRIBUTE, value: definition },
      { key: OUTCOME_ATTRIBUTE, value: RUNNING },
    ],
  };
}
