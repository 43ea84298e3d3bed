/**
 * Goal: clause 7: whoever waits costs nothing, and nothing of it is polling. Method: fifty updates
 * wait while one of them is stopped inside its Postgres leg, and then inside its Mongo leg;
 * PostgreSQL, the pool, Temporal and the histories are asked what the others use.
 */
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { eventually } from '../support/eventually';
import type { RunningWorker } from '../support/world';
import { Gates } from './gates';
import { defineLines } from './lines';
import { LinesWorld, POOL_OF_THE_WORKER } from './lines-world';

describe('updates that wait', () => {
  const gates = new Gates();
  let legRuns = 0;
  const hooks = {
    ...gates.hooks,
    postgres: async (id: string) => {
      legRuns += 1;
      await gates.hooks.postgres?.(id, () => {
        throw new Error('nothing is refused here');
      });
    },
  };
  // The stores' own time-outs derive from it, and leave the time to look around.
  const { transaction } = defineLines({ hooks, legTimeoutMillis: 10_000 });
  let lines: LinesWorld;
  let worker: RunningWorker;

  beforeAll(async () => {
    lines = await LinesWorld.open();
    worker = await lines.world.startWorker({ updates: [transaction], postgres: lines.pool });
  });

  afterAll(async () => {
    gates.openAll();
    await worker.stop();
    await lines.close();
  });

  /** The sessions of the worker that do something, or wait for something. */
  const busySessions = async () => {
    const { rows } = await lines.world.postgres.query<{ state: string; waits: string | null }>(
      `select state, wait_event_type as waits from pg_stat_activity
        where datname = current_database() and application_name = $1 and state <> 'idle'`,
      [POOL_OF_THE_WORKER],
    );
    return rows;
  };

  /** The sweep for overdue calls and the comparison of the stores may each have one for a moment. */
  const connectionsInUse = () => lines.pool.totalCount - lines.pool.idleCount;

  const pendingActivitiesOf = async (workflowIds: readonly string[]) => {
    const descriptions = await Promise.all(
      workflowIds.map((id) => lines.world.temporal.workflow.getHandle(id).describe()),
    );
    return descriptions.flatMap(({ raw }) => raw.pendingActivities ?? []);
  };

  const assertTheyCostNothing = async (workflowIds: readonly string[]) => {
    // One session is the holder's; others may be looking for overdue turns and comparing the stores.
    const sessions = await busySessions();
    expect(sessions.filter(({ waits }) => waits === 'Lock')).toEqual([]);
    expect(sessions.length).toBeLessThanOrEqual(3);
    expect(connectionsInUse()).toBeLessThanOrEqual(3);
    expect(lines.pool.waitingCount).toBe(0);
    expect(await pendingActivitiesOf(workflowIds)).toEqual([]);
  };

  const historyOf = async (workflowId: string) => {
    const { events } = await lines.world.temporal.workflow.getHandle(workflowId).fetchHistory();
    const all = events ?? [];
    const scheduled = all.flatMap((event) => event.activityTaskScheduledEventAttributes ?? []);
    return {
      timers: all.filter((event) => event.timerStartedEventAttributes).length,
      calls: all.filter((event) => event.workflowExecutionSignaledEventAttributes).length,
      claims: scheduled.filter(({ activityType }) => activityType?.name === 'applyPostgres').length,
      attempts: all
        .flatMap((event) => event.activityTaskStartedEventAttributes ?? [])
        .map(({ attempt }) => attempt),
    };
  };

  test('clause 7: fifty that wait for one hold no connection, no slot and no timer, and claim twice', async () => {
    const line = await lines.openLine();
    const entity = `line:${line}`;
    const hold = await lines.hold(entity);
    const ids = Array.from({ length: 50 }, () => randomUUID());
    const handles = await Promise.all(
      ids.map((id) => lines.world.twinwrite.submit(transaction, { id, lines: [line] })),
    );
    await lines.queued(entity, 50);
    const [first = '', ...others] = await lines.queueOf(entity);
    const waiting = others.map((id) => `${transaction.name}/${id}`);
    const postgresGate = gates.close('postgres', first);
    const mongoGate = gates.close('mongo', first);
    await hold.release();

    await postgresGate.reached();
    await assertTheyCostNothing(waiting);
    postgresGate.open();
    await mongoGate.reached();
    await assertTheyCostNothing(waiting);
    expect(await lines.queueOf(entity)).toEqual(others);
    mongoGate.open();

    await Promise.all(handles.map((handle) => handle.outcome()));
    const { postgres, mongo } = await lines.listsOf(line, 'transaction');
    expect(postgres).toEqual([first, ...others]);
    expect(mongo).toEqual(postgres);
    for (const history of await Promise.all(waiting.map(historyOf))) {
      expect(history.timers).toBe(0);
      expect(history.claims).toBe(2);
      // One call, and one more where it took longer than two seconds to come.
      expect(history.calls).toBeGreaterThanOrEqual(1);
      expect(history.calls).toBeLessThanOrEqual(2);
      expect(history.attempts).toEqual([1, 1, 1]);
    }
  });

  test('clause 3, F25: the duplicates of a leg in flight share its connection', async () => {
    const line = await lines.openLine();
    const id = randomUUID();
    const gate = gates.close('postgres', id);
    const runsBefore = legRuns;
    const request = { definition: transaction.name, token: id, input: { id, lines: [line] } };
    const drivers = await Promise.all(
      Array.from({ length: 30 }, (_, index) =>
        lines.world.temporal.workflow.start('crossStoreUpdate', {
          workflowId: `driver-${index}/${id}`,
          taskQueue: lines.world.name,
          args: [request],
        }),
      ),
    );
    await gate.reached();
    const workflowIds = drivers.map(({ workflowId }) => workflowId);
    await eventually(async () => {
      const activities = await pendingActivitiesOf(workflowIds);
      const started = activities.filter(({ lastStartedTime }) => lastStartedTime);
      return started.length === lines.pool.options.max ? true : undefined;
    }, 'as many duplicates as the worker has slots are in flight');
    expect(connectionsInUse()).toBeLessThanOrEqual(3);
    gate.open();
    const outcomes = await Promise.all(drivers.map((driver) => driver.result()));
    expect(outcomes).toEqual(drivers.map(() => ({ status: 'applied', result: null })));
    expect(legRuns - runsBefore).toBe(1);
    expect(await lines.listsOf(line, 'transaction')).toEqual({ postgres: [id], mongo: [id] });
  });
});
