// Records the histories that every test run replays: npm test -- --testMatch
// '**/test/replay/record.ts' Run it when a workflow path is added. A history that exists stays:
// workflows that began under it are still to be finished by later builds.
import { existsSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import type { WorkflowHandle } from '@temporalio/client';
import { historyToJSON } from '@temporalio/common/lib/proto-utils';
import { openWorld, type World } from '../support/world';
import { LONGER_NAMES, type Run, runLongerScenarios } from './longer-scenarios';
import { runScenarios, SCENARIOS } from './scenarios';

let world: World;

beforeEach(async () => {
  world = await openWorld();
});

afterEach(async () => {
  await world.close();
});

test('the histories are recorded', async () => {
  const workflows = await runScenarios(world);
  for (const [name, workflowId] of workflows) await record(name, { workflowId });
  expect(workflows.size).toBe(2 * SCENARIOS.length);
});

test('and those of the workflows that wait', async () => {
  const runs = await runLongerScenarios(world, { withSlow: true });
  for (const [name, run] of runs) await record(name, run);
  expect([...runs.keys()].sort()).toEqual([...LONGER_NAMES].sort());
});

async function record(name: string, { workflowId, runId }: Run): Promise<void> {
  const file = join(__dirname, 'histories', `${name}.json`);
  if (existsSync(file)) return;
  const history = await fetchHistory(workflowId, runId);
  const text = JSON.stringify(JSON.parse(historyToJSON(history), anonymous), null, 1);
  await writeFile(file, `${text}\n`);
}

type History = Awaited<ReturnType<WorkflowHandle['fetchHistory']>>;

/** In small pages: a message has a limit, and a long history is beyond it. */
async function fetchHistory(workflowId: string, runId: string | null = null) {
  const events: NonNullable<History['events']> = [];
  let nextPageToken: Uint8Array | null | undefined;
  do {
    const page = await world.temporal.workflowService.getWorkflowExecutionHistory({
      namespace: 'default',
      execution: { workflowId, runId },
      maximumPageSize: 4,
      nextPageToken: nextPageToken ?? null,
    });
    events.push(...(page.history?.events ?? []));
    ({ nextPageToken } = page);
  } while (nextPageToken != null && nextPageToken.length > 0);
  return { events };
}

/**
 * Replay reads none of it: two name the machine of whoever recorded, and what a signal carries only
 * makes a history long.
 */
function anonymous(key: string, value: unknown): unknown {
  if (key === 'identity') return 'recorder';
  if (key === 'workflowExecutionSignaledEventAttributes') {
    return { ...(value as object), input: undefined };
  }
  return key === 'stackTrace' ? '' : value;
}
