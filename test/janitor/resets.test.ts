/**
 * Goal: clause 9: a reset changes nothing that is recorded. Method: applied, compensated and refused
 * updates in both forms, each reset to every workflow task that its history has; each run answers
 * what the ledger says, and neither ledger nor store changes.
 */
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import type { UpdateHandle } from 'twinwrite';
import { Steering } from '../compensation/steering';
import { prepareTransfers, TOO_MANY, transfer, transferKinds } from '../compensation/transfers';
import { openWorld, type RunningWorker, type World } from '../support/world';

const kinds = transferKinds(new Steering());

let world: World;
let worker: RunningWorker;

beforeAll(async () => {
  world = await openWorld();
  await prepareTransfers(world);
  worker = await world.startWorker({ updates: Object.values(kinds) });
});

afterAll(async () => {
  await worker.stop();
  await world.close();
});

/** Everything that is recorded of anything, in both stores. */
async function everything() {
  const tables = ['twinwrite.ledger', 'twinwrite.pending', 'twinwrite.entity', 'entry', 'balance'];
  const queries = tables.map((table) =>
    world.postgres.query(`select * from ${table} order by 1, 2`),
  );
  const rows = (await Promise.all(queries)).map((answer) => answer.rows);
  const names = ['twinwrite_ledger', 'entries', 'balances', 'entries_tx', 'balances_tx'];
  const documents = await Promise.all(
    names.map((name) => world.mongo.db().collection(name).find().sort({ _id: 1 }).toArray()),
  );
  return { rows, documents };
}

/** The ends of its workflow tasks: Temporal takes them for where a reset begins. */
async function tasksOf(workflowId: string) {
  const { events } = await world.temporal.workflow.getHandle(workflowId).fetchHistory();
  return (events ?? []).flatMap(({ eventId, workflowTaskCompletedEventAttributes: completed }) =>
    completed && eventId ? [eventId] : [],
  );
}

type Task = Awaited<ReturnType<typeof tasksOf>>[number];

async function reset({ workflowId, runId = '' }: UpdateHandle, task: Task | undefined) {
  const answer = await world.temporal.workflowService.resetWorkflowExecution({
    namespace: 'default',
    workflowExecution: { workflowId, runId },
    reason: 'by the test',
    requestId: randomUUID(),
    workflowTaskFinishEventId: task ?? null,
  });
  return world.temporal.workflow.getHandle(workflowId, answer.runId);
}

const CASES = [
  ['projection', 5, 'applied', 3],
  ['projectionOnly', 5, 'applied', 3],
  ['transaction', 5, 'applied', 3],
  ['projection', TOO_MANY, 'compensated', 6],
  ['transaction', TOO_MANY, 'compensated', 6],
  ['transaction', 13, 'refused', 2],
] as const;

test.each(CASES)(
  'clause 9: %s of %i points, %s: reset to each of its %i workflow tasks, it answers that and changes nothing',
  async (name, points, status, taskCount) => {
    const handle = await world.twinwrite.submit(kinds[name], transfer({ points }));
    const outcome = await handle.outcome();
    expect(outcome.status).toBe(status);
    const tasks = await tasksOf(handle.workflowId);
    expect(tasks).toHaveLength(taskCount);
    const before = await everything();
    for (const task of tasks) {
      expect(await (await reset(handle, task)).result()).toEqual(outcome);
    }
    expect(await everything()).toEqual(before);
  },
);

test('clause 9: reset and cancelled, an applied update stays applied', async () => {
  const handle = await world.twinwrite.submit(kinds.transaction, transfer());
  const outcome = await handle.outcome();
  const before = await everything();
  const [first] = await tasksOf(handle.workflowId);
  const again = await reset(handle, first);
  await again.cancel().catch(() => {});
  expect(await again.result()).toEqual(outcome);
  expect(await everything()).toEqual(before);
});
