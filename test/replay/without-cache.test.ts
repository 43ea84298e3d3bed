/**
 * Goal: a worker that has forgotten a workflow, or never had it, goes on with it from its history
 * (clause 10). Method: every path is run by a worker that keeps no workflow in memory, so that each
 * task begins with a replay of all that went before.
 */
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { openWorld, type World } from '../support/world';
import { LONGER_NAMES, runLongerScenarios } from './longer-scenarios';
import { runScenarios } from './scenarios';

const WITHOUT_CACHE = { maxCachedWorkflows: 0 };

/** Both at the same time: most of it is waiting. */
const worlds: World[] = [];

beforeAll(async () => {
  worlds.push(...(await Promise.all([openWorld(), openWorld()])));
});

afterAll(async () => {
  await Promise.all(worlds.map((world) => world.close()));
});

const endOf = async (world: World, workflowId: string) => {
  const handle = world.temporal.workflow.getHandle(workflowId);
  const { status } = await handle.describe();
  if (status.name !== 'COMPLETED') return status.name;
  return ((await handle.result()) as { status: string }).status;
};

/** Of a task that a replay does not agree with. One that a signal came in between is none. */
const failuresOf = async (world: World, workflowId: string) => {
  const { events } = await world.temporal.workflow.getHandle(workflowId).fetchHistory();
  const failed = events?.flatMap((event) => event.workflowTaskFailedEventAttributes ?? []) ?? [];
  return failed.flatMap(({ failure }) => failure ?? []);
};

async function straightThrough(world: World): Promise<void> {
  const workflows = await runScenarios(world, WITHOUT_CACHE);
  const ends: Record<string, string> = {};
  for (const [name, workflowId] of workflows) {
    expect(await failuresOf(world, workflowId)).toEqual([]);
    ends[name] = await endOf(world, workflowId);
  }
  const expected = {
    applied: 'applied',
    refused: 'refused',
    compensated: 'compensated',
    cancelled: 'refused',
    retried: 'applied',
    'token-reused': 'FAILED',
  };
  const both = ['projection', 'transaction'].flatMap((form) =>
    Object.entries(expected).map(([name, end]) => [`${form}-${name}`, end]),
  );
  expect(ends).toEqual(Object.fromEntries(both));
}

async function onWhichItWaits(world: World): Promise<void> {
  const runs = await runLongerScenarios(world, WITHOUT_CACHE);
  const ends: Record<string, string> = {};
  for (const [name, { workflowId }] of runs) {
    expect({ name, failed: await failuresOf(world, workflowId) }).toEqual({ name, failed: [] });
    ends[name] = await endOf(world, workflowId);
  }
  expect(ends).toEqual({
    'projection-waited': 'applied',
    'transaction-waited': 'applied',
    'projection-cancelled-while-waiting': 'refused',
    'transaction-cancelled-while-waiting': 'refused',
    'projection-parked-retried': 'applied',
    'transaction-parked-retried': 'applied',
    'projection-parked-cancelled': 'refused',
    'transaction-parked-cancelled': 'refused',
    'projection-parked-undo': 'compensated',
    'transaction-parked-undo': 'compensated',
    'transaction-undone-late': 'compensated',
    'transaction-resumed-forward': 'applied',
  });
  expect(LONGER_NAMES).toEqual(expect.arrayContaining([...runs.keys()]));
}

test('every path is run to its end, each task from the beginning', async () => {
  const [one, other] = worlds;
  if (one === undefined || other === undefined) throw new Error('there are two worlds');
  await Promise.all([straightThrough(one), onWhichItWaits(other)]);
});
