import { existsSync } from 'node:fs';
import { type WorkflowExecutionDescription, WorkflowNotFoundError } from '@temporalio/client';
import {
  type MongoEntry,
  type PostgresEntry,
  readMongoEntry,
  readPostgresEntry,
} from '../../activities/ledger-entries';
import type { Twinwrite } from '../../client';
import { throwAsTwinwriteError } from '../../client/temporal-errors';
import { readCommandConfig } from '../../config';
import { TwinwriteError } from '../../domain/errors';
import type { Json } from '../../domain/json';
import type { Outcome, Reason } from '../../domain/outcome';
import type { ShowCommandOptions } from '../commands/show';
import { findDefinition, loadConfig } from '../load-config';
import { createOutput } from '../output';
import { openMongo, openPostgres } from '../stores';
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
  const postgres = await withPostgres(postgresUrl, name, token);
  const mongo = await withMongo(mongoUri, name, token);
  const twinwrite = await connectToTemporal();
  try {
    const ledger = {
      ...(postgres === undefined ? {} : { postgres }),
      ...(mongo === undefined ? {} : { mongo }),
    };
    const temporal = await askTemporal(twinwrite, name, token, postgres?.workflow);
    if (temporal === undefined && !postgres && !mongo) await throwUnknown(name, token, options);
    const report = reportOf({ definition: name, token, ledger, temporal, twinwrite });
    output.result(report, describeUpdate(report));
  } finally {
    await twinwrite.close();
  }
}

async function withPostgres(url: string | undefined, name: string, token: string) {
  if (url === undefined) return undefined;
  const postgres = await openPostgres(url, 1);
  try {
    return (await readPostgresEntry(postgres, name, token)) ?? null;
  } finally {
    await postgres.end();
  }
}

async function withMongo(uri: string | undefined, name: string, token: string) {
  if (uri === undefined) return undefined;
  const mongo = await openMongo(uri);
  try {
    return (await readMongoEntry(mongo, name, token)) ?? null;
  } finally {
    await mongo.close();
  }
}

interface TemporalAnswer {
  readonly description: WorkflowExecutionDescription;
  readonly legs: readonly Leg[];
  readonly outcome: Outcome | undefined;
}

/** A member of a group has no workflow of its own: the ledger names the one that it ran in. */
async function askTemporal(
  twinwrite: Twinwrite,
  definition: string,
  token: string,
  workflow: string | undefined,
): Promise<TemporalAnswer | undefined> {
  const own = twinwrite.handle(definition, token).workflowId;
  const handle = twinwrite.client.workflow.getHandle(workflow ?? own);
  try {
    const description = await handle.describe();
    const legs = legsOf(await handle.fetchHistory(), description);
    const isDone = description.status.name === 'COMPLETED' && description.workflowId === own;
    const outcome = isDone ? ((await handle.result()) as Outcome) : undefined;
    return { description, legs, outcome };
  } catch (error) {
    if (error instanceof WorkflowNotFoundError) return undefined;
    return throwAsTwinwriteError({ definition, token })(error);
  }
}

async function throwUnknown(
  name: string,
  token: string,
  { config: file }: ShowCommandOptions,
): Promise<never> {
  // A misspelled name is the likelier reason, and the config file can tell. One that does not load
  // is not what was asked about.
  if (existsSync(file)) {
    const config = await loadConfig(file).catch(() => undefined);
    if (config !== undefined) findDefinition(config, name, file);
  }
  throw new TwinwriteError('UnknownUpdate', { definition: name, token });
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
  const recorded = ledger.postgres ? outcomeOf(ledger.postgres) : undefined;
  const outcome = recorded ?? temporal?.outcome;
  const state =
    outcome?.status ??
    ledger.postgres?.state ??
    (description === undefined ? 'unknown' : stateOf(description.status.name));
  return {
    definition,
    token,
    state,
    outcome: outcome ?? null,
    workflow: description === undefined ? null : workflowOf(description),
    legs: temporal?.legs ?? [],
    ledger,
    webUrl: twinwrite.handle(definition, token, description?.runId).webUrl ?? null,
  };
}

function outcomeOf({ state, result, reason }: PostgresEntry): Outcome | undefined {
  if (state === 'applied')
    return { status: state, result: result === null ? null : (JSON.parse(result) as Json) };
  if (state !== 'compensated' && state !== 'refused') return undefined;
  const unknown: Reason = { code: 'RefusedByDefinition', message: 'No reason is recorded' };
  return { status: state, reason: reason === null ? unknown : (JSON.parse(reason) as Reason) };
}

function stateOf(status: string): string {
  return status === 'RUNNING' ? 'running' : `ended without an outcome (${status.toLowerCase()})`;
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
