import { execFile } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { ApplicationFailure, WorkflowFailedError } from '@temporalio/client';
import { eventually } from '../support/eventually';
import type { World } from '../support/world';

/** What a workflow was started with: the bytes of one payload for each argument. */
export interface RawStart {
  readonly workflowId: string;
  readonly payloads: readonly { readonly data: string; readonly encoding?: string }[];
}

/**
 * Starts our workflow as any program with an address may: no client of ours looks at the payload.
 */
export async function startRaw(world: World, start: RawStart): Promise<void> {
  await world.temporal.workflowService.startWorkflowExecution({
    namespace: world.temporal.options.namespace,
    workflowId: start.workflowId,
    requestId: randomUUID(),
    workflowType: { name: 'crossStoreUpdate' },
    taskQueue: { name: world.name },
    input: {
      payloads: start.payloads.map(({ data, encoding = 'json/plain' }) => ({
        metadata: { encoding: Buffer.from(encoding) },
        data: Buffer.from(data),
      })),
    },
    workflowTaskTimeout: { seconds: 3 as never },
  });
}

/** The same through Temporal's own command line. */
export async function startByCommand(
  world: World,
  program: string,
  { workflowId, payloads }: RawStart,
): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'raw-start-'));
  try {
    const files = payloads.map((_, index) => join(folder, `${index}.json`));
    await Promise.all(files.map((file, index) => writeFile(file, payloads[index]?.data ?? '')));
    await promisify(execFile)(
      program,
      [
        ['workflow', 'start', '--type', 'crossStoreUpdate', '--workflow-id', workflowId],
        ['--task-queue', world.name, '--address', world.addresses.temporalAddress],
        ['--env-file', '/dev/null', '--disable-config-file', '--disable-config-env'],
        files.flatMap((file) => ['--input-file', file]),
      ].flat(),
    );
  } finally {
    await rm(folder, { recursive: true });
  }
}

/** How a workflow ended, and how often the workflow code itself failed on the way. */
export interface Ending {
  readonly status: string;
  readonly failure?: { readonly type: string; readonly message: string; readonly fields: unknown };
  readonly result?: unknown;
  readonly failedTasks: number;
}

/** Waits for the end; an error of workflow code would keep it open for ever. */
export async function endingOf(world: World, workflowId: string): Promise<Ending> {
  const workflow = world.temporal.workflow.getHandle(workflowId);
  const status = await eventually(
    async () => {
      const { name } = (await workflow.describe()).status;
      return name === 'RUNNING' ? undefined : name;
    },
    `${workflowId} has ended`,
    60_000,
  );
  const history = await workflow.fetchHistory();
  const failedTasks = (history.events ?? []).filter(
    (event) => event.workflowTaskFailedEventAttributes,
  ).length;
  try {
    return { status, result: await workflow.result(), failedTasks };
  } catch (error) {
    const failure = error instanceof WorkflowFailedError ? error.cause : error;
    if (!(failure instanceof ApplicationFailure)) throw error;
    const { type, message, details } = failure;
    return {
      status,
      failure: { type: type ?? 'none', message, fields: details?.[0] },
      failedTasks,
    };
  }
}
