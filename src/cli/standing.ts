import type { Client, WorkflowExecutionDescription, WorkflowHandle } from '@temporalio/client';
import type { PostgresEntry } from '../activities/ledger-entries';
import { isLeg, type Progress, titleOf } from '../domain/progress';
import { OUTCOME_ATTRIBUTE, PARKED } from '../domain/search-attributes';

/** Nobody waits longer for a worker to say where an update stands. */
const ANSWER_WITHIN_MILLIS = 2_000;

/** Why an update needs somebody. */
export interface Parked {
  /** The step that keeps failing; null where nobody who knows it answers. */
  readonly leg: string | null;
  readonly reason: string;
}

/** Where an open update stands, from whoever still can say. */
export interface Standing {
  /** Null where it runs by itself; undefined where nobody knows. */
  readonly parked: Parked | null | undefined;
  /** What its workflow says of itself, where a worker answers. */
  readonly progress: Progress | undefined;
}

/**
 * Asks the workflow, which a worker answers for; else the ledger, which may be late to hear that an
 * update is no longer parked; else the search attribute, which says no more than that it is.
 */
export async function findStanding(
  client: Client,
  handle: WorkflowHandle,
  description: WorkflowExecutionDescription,
  entry: PostgresEntry | null | undefined,
): Promise<Standing> {
  const progress = await client
    .withDeadline(Date.now() + ANSWER_WITHIN_MILLIS, () => handle.query<Progress>('progress'))
    .catch(() => undefined);
  if (progress !== undefined) {
    const { parked: reason, leg, done } = progress;
    const parked = reason === undefined ? null : { leg: titleOf(leg, done), reason };
    return { parked, progress };
  }
  if (entry?.parked != null) return { parked: parkedOf(entry.parked), progress };
  if (description.typedSearchAttributes.get(OUTCOME_ATTRIBUTE) === PARKED) {
    const reason = 'its workflow knows why, and no worker answers for it';
    return { parked: { leg: null, reason }, progress };
  }
  return { parked: undefined, progress };
}

/** The ledger has the step and what it said in one text. */
export function parkedOf(text: string): Parked {
  const [leg = '', ...rest] = text.split(': ');
  if (!isLeg(leg) || rest.length === 0) return { leg: null, reason: text };
  return { leg: titleOf(leg, []), reason: rest.join(': ') };
}

/** For people. */
export function describeParked({ leg, reason }: Parked): string {
  return leg === null ? reason : `${leg}: ${reason}`;
}
