import { type WorkflowExecutionDescription, WorkflowNotFoundError } from '@temporalio/client';
import type { MongoEntry, PostgresEntry } from '../../activities/ledger-entries';
import type { Twinwrite } from '../../client';
import { throwAsTwinwriteError } from '../../client/temporal-errors';
import { readCommandConfig } from '../../config';
import type { Outcome } from '../../domain/outcome';
import { PARKED, RUNNING } from '../../domain/search-attributes';
import type { ShowCommandOptions } from '../commands/show';
import { lookUpMongo, lookUpPostgres, recordedOutcome, throwUnknown } from '../look-up';
import { createOutput } from '../output';
import { findStanding, type Parked, parkedOf } from '../standing';
import { connectToTemporal } from '../temporal';
import { describeUpdate } from './describe';
import { type Leg, legsOf } from './legs';

/** What is known of one update, from Temporal and from both ledgers. */
export interface UpdateReport {
  readonly definition: string;
  readonly token: string;
  /** The outcome's status, the stage in the ledger, or what its workflow is. */
  readonly state: string;
  readonly outcome: Outcome | null;
  /** Why it needs somebody; nothing while it runs by itself, and once it is settled. */
  readonly parked: Parked | null;
  /** Nothing when Temporal has forgotten it. */
  readonly workflow: WorkflowReport | null;
  readonly legs: readonly Leg[];
  /** Each is `undefined` where nobody could be asked, and null where the store knows nothing. */
  readonly ledger: {
    readonly postgres?: PostgresEntry | null;
    readonly mongo?: MongoEntry | null;
  };
  readonly webUrl: string | null;
}

export interface WorkflowReport {
  readonly workflowId: string;
  readonly runId: string;
  readonly status: string;
  readonly taskQueue: string;
  readonly startedAt: string;
  readonly closedAt: string | null;
}

/** Shows one update, whatever its state. */
export async function show(
  name: string,
  token: string,
  options: ShowCommandOptions,
): Promise<void> {
  const output = createOutput(options);
  const { postgresUrl, mongoUri } = readCommandConfig();
  const postgres = await lookUpPostgres(postgresUrl, name, token);
  const mongo = await lookUpMongo(mongoUri, name, token);
  const twinwrite = await connectToTemporal();
  try {
    const ledger = {
      ...(postgres === undefined ? {} : { postgres }),
      ...(mongo === undefined ? {} : { mongo }),
    };
    const temporal = await askTemporal(twinwrite, name, token, postgres);
    if (temporal === undefined && !postgres && !mongo)
      await throwUnknown(name, token, options.config);
    const report = reportOf({ definition: name, token, ledger, temporal, twinwrite });
    output.result(report, describeUpdate(report));
  } finally {
    await twinwrite.close();
  }
}

interface TemporalAnswer {
  readonly description: WorkflowExecutionDescription;
  readonly legs: readonly Leg[];
  readonly outcome: Outcome | undefined;
  readonly parked: Parked | null | undefined;
}

/** A member of a group has no workflow of its own: the ledger names the one that it ran in. */
async function askTemporal(
  twinwrite: Twinwrite,
  definition: string,
  token: string,
  entry: PostgresEntry | null | undefined,
): Promise<TemporalAnswer | undefined> {
  const own = twinwrite.handle(definition, token).workflowId;
  const handle = twinwrite.client.workflow.getHandle(entry?.workflow ?? own);
  try {
    const description = await handle.describe();
    const legs = legsOf(await handle.fetchHistory(), description);
    const isDone = description.status.name === 'COMPLETED' && description.workflowId === own;
    const outcome = isDone ? ((await handle.result()) as Outcome) : undefined;
    const { parked } =
      description.status.name === 'RUNNING'
        ? await findStanding(twinwrite.client, handle, description, entry)
        : { parked: undefined };
    return { description, legs, outcome, parked };
  } catch (error) {
    if (error instanceof WorkflowNotFoundError) return undefined;
    return throwAsTwinwriteError({ definition, token })(error);
  }
}

interface Findings {
  readonly definition: string;
  readonly token: string;
  readonly ledger: UpdateReport['ledger'];
  readonly temporal: TemporalAnswer | undefined;
  readonly twinwrite: Twinwrite;
}

function reportOf({ definition, token, ledger, temporal, twinwrite }: Findings): UpdateReport {
  const description = temporal?.description;
  // The ledger is the authority on a token.
  const outcome =
    (ledger.postgres ? recordedOutcome(ledger.postgres) : undefined) ?? temporal?.outcome;
  const parked = outcome === undefined ? findParked(temporal, ledger.postgres) : null;
  const state = outcome?.status ?? stateOf(parked, description?.status.name, ledger.postgres);
  return {
    definition,
    token,
    state,
    outcome: outcome ?? null,
    parked,
    workflow: description === undefined ? null : workflowOf(description),
    legs: temporal?.legs ?? [],
    ledger,
    webUrl: twinwrite.handle(definition, token, description?.runId).webUrl ?? null,
  };
}

/** The workflow knows best; the ledger may be late to hear that it is no longer parked. */
function findParked(
  temporal: TemporalAnswer | undefined,
  entry: PostgresEntry | null | undefined,
): Parked | null {
  if (temporal?.parked !== undefined) return temporal.parked;
  return entry?.parked == null ? null : parkedOf(entry.parked);
}

function stateOf(
  parked: Parked | null,
  workflow: string | undefined,
  entry: PostgresEntry | null | undefined,
): string {
  if (parked !== null) return PARKED;
  if (entry && entry.state !== PARKED) return entry.state;
  if (workflow === undefined) return 'unknown';
  return workflow === 'RUNNING' ? RUNNING : `ended without an outcome (${workflow.toLowerCase()})`;
}

function workflowOf(description: WorkflowExecutionDescription): WorkflowReport {
  const { workflowId, runId, status, taskQueue, startTime, closeTime } = description;
  return {
    workflowId,
    runId,
    status: status.name,
    taskQueue,
    startedAt: startTime.toISOString(),
    closedAt: closeTime?.toISOString() ?? null,
  };
}
