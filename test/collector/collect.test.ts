/**
 * Goal: what is collected is old, settled, and forgotten by Temporal; nothing else is; and whatever
 * happens meanwhile, no update is applied in one store only. Method: real updates in both forms,
 * made old by SQL; the collector in this process; every run of an update leaves a mark of its own.
 */
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { Client } from '@temporalio/client';
import { removeOldEntries } from '../../src/activities/mongo/collection';
import { type CollectOptions, collect } from '../../src/collector/collect';
import { findRetained, readForgottenAfterMillis } from '../../src/collector/retention';
import { eventually } from '../support/eventually';
import { openWorld, type RunningWorker, type World } from '../support/world';
import {
  fillLedgers,
  holdDeletions,
  type Mark,
  type MarkHooks,
  makeOld,
  marksOf,
  prepareMarks,
  projectionMark,
  settleLongAgo,
  startForgetting,
  startRaw,
  transactionMark,
} from './marks';

const DAY_MILLIS = 24 * 3_600_000;
const ABSENT = { ledger: 0, mongoLedger: 0 };

describe('the collector', () => {
  let world: World;
  let worker: RunningWorker;
  let forgotten: () => Promise<unknown>;
  const deleted: Mark = { id: randomUUID() };
  const hooks: MarkHooks = {};
  const transaction = transactionMark(hooks);
  const projection = projectionMark(hooks);
  const updates = [transaction, projection];

  beforeAll(async () => {
    world = await openWorld();
    await prepareMarks(world);
    worker = await world.startWorker({ updates });
    // Temporal takes a while for it: it is done when the last test asks.
    await world.twinwrite.execute(transaction, deleted);
    forgotten = await startForgetting(world, `transactionMark/${deleted.id}`);
  });

  beforeEach(async () => {
    // What an earlier test left old and retained would be counted again.
    await world.postgres.query('update twinwrite.ledger set at = now()');
  });

  afterAll(async () => {
    await worker.stop();
    await world.close();
  });

  const run = async (options: Partial<CollectOptions> = {}) =>
    await collect({
      postgres: world.postgres,
      db: world.mongo.db(),
      temporal: world.temporal,
      olderThanMillis: 20 * DAY_MILLIS,
      limit: Number.POSITIVE_INFINITY,
      isDryRun: false,
      signal: new AbortController().signal,
      report: () => {},
      ...options,
    });
  const stateOf = async (id: string) =>
    (await world.postgres.query('select state from twinwrite.updates where token = $1', [id]))
      .rows[0]?.state;

  test.each([
    { name: 'transaction form', definition: transaction },
    { name: 'projection', definition: projection },
  ])(
    'F29, $name: collected is forgotten in both stores, its data stays, and its token is a new update',
    async ({ definition }) => {
      const mark = await settleLongAgo(world, definition);
      expect(await run()).toMatchObject({ collected: 1, isFinished: true });
      const one = { postgres: 1, mongo: 1 };
      expect(await marksOf(world, definition, mark.id)).toEqual({ ...one, ...ABSENT });
      expect(await world.twinwrite.execute(definition, mark)).toMatchObject({ status: 'applied' });
      expect(await marksOf(world, definition, mark.id)).toMatchObject({ postgres: 2, mongo: 2 });
    },
  );

  test('whatever its outcome was, a settled update is collected', async () => {
    const refused = await settleLongAgo(world, transaction, 'apply');
    const compensated = await settleLongAgo(world, transaction, 'mongo');
    const restored = await settleLongAgo(world, projection, 'mongo');
    expect(await stateOf(refused.id)).toBe('refused');
    expect(await stateOf(compensated.id)).toBe('compensated');
    expect(await stateOf(restored.id)).toBe('compensated');
    expect(await run()).toMatchObject({ collected: 3, kept: { unsettled: 0, retained: 0 } });
    expect(await marksOf(world, transaction, refused.id)).toMatchObject(ABSENT);
    expect(await marksOf(world, transaction, compensated.id)).toMatchObject(ABSENT);
    expect(await marksOf(world, projection, restored.id)).toMatchObject(ABSENT);
  });

  test('a young one is kept, and so is one whose half in MongoDB is young', async () => {
    const young: Mark = { id: randomUUID() };
    await (await startRaw(world, transaction, young)).result();
    const late: Mark = { id: randomUUID() };
    await (await startRaw(world, transaction, late)).result();
    await world.postgres.query(
      `update twinwrite.ledger set at = now() - interval '30 days' where token = $1`,
      [late.id],
    );
    expect(await run({ isDryRun: true })).toMatchObject({ collected: 0, kept: { young: 1 } });
    expect(await run()).toMatchObject({ collected: 0, kept: { young: 1 } });
    for (const { id } of [young, late]) {
      expect(await marksOf(world, transaction, id)).toMatchObject({ ledger: 1, mongoLedger: 1 });
    }
  });

  test('clause 5: what is not settled is never collected, however old, forward or undoing', async () => {
    const stuck = new Set<string>();
    const fail = (id: string) => {
      if (stuck.has(id)) throw new Error('held by the test');
    };
    Object.assign(hooks, { undo: fail, mongo: fail });
    const forward: Mark = { id: randomUUID() };
    const undoing: Mark = { id: randomUUID(), refusedBy: 'mongo' };
    stuck.add(forward.id);
    const forwardRun = await startRaw(world, transaction, forward);
    hooks.mongo = (id) => {
      if (id === forward.id) fail(id);
      if (id === undoing.id) stuck.add(id);
    };
    const undoingRun = await startRaw(world, transaction, undoing);
    await eventually(
      async () =>
        (await stateOf(forward.id)) === 'forward' && (await stateOf(undoing.id)) === 'undoing'
          ? true
          : undefined,
      'one is forward and one undoing',
    );
    await makeOld(world, [forward.id, undoing.id]);
    expect(await run()).toMatchObject({ collected: 0, kept: { unsettled: 2 } });
    stuck.clear();
    delete hooks.mongo;
    delete hooks.undo;
    expect(await forwardRun.result()).toMatchObject({ status: 'applied' });
    expect(await undoingRun.result()).toMatchObject({ status: 'compensated' });
  });

  test('F29: what Temporal retains is kept, and a reset of it changes nothing', async () => {
    const mark: Mark = { id: randomUUID() };
    const outcome = await world.twinwrite.execute(transaction, mark);
    await makeOld(world, [mark.id]);
    expect(await run({ isDryRun: true })).toMatchObject({ collected: 0, kept: { retained: 1 } });
    expect(await run()).toMatchObject({ collected: 0, kept: { retained: 1 } });
    const workflowId = `transactionMark/${mark.id}`;
    await resetToItsBeginning(world, workflowId);
    expect(await world.temporal.workflow.getHandle(workflowId).result()).toEqual(outcome);
    expect(await marksOf(world, transaction, mark.id)).toEqual({
      postgres: 1,
      mongo: 1,
      ledger: 1,
      mongoLedger: 1,
    });
  });

  test('settled long ago, but its workflow is still open for want of a worker: kept', async () => {
    const mark = await settleLongAgo(world, transaction);
    await worker.stop();
    const handle = await world.twinwrite.submit(transaction, mark);
    const collection = await run();
    worker = await world.startWorker({ updates });
    expect(collection).toMatchObject({ collected: 0, kept: { retained: 1 } });
    expect(await handle.outcome()).toMatchObject({ status: 'applied' });
    expect(await marksOf(world, transaction, mark.id)).toMatchObject({ postgres: 1, mongo: 1 });
  });

  test('clause 3: a token that comes back while it is collected is a new update, in both stores', async () => {
    const mark = await settleLongAgo(world, transaction);
    const deletions = await holdDeletions(world);
    const collecting = run();
    await deletions.reached();
    const handle = await world.twinwrite.submit(transaction, mark);
    try {
      await claimWaits(world);
    } finally {
      await deletions.release();
    }
    expect(await collecting).toMatchObject({ collected: 1 });
    expect(await handle.outcome()).toMatchObject({ status: 'applied' });
    expect(await marksOf(world, transaction, mark.id)).toEqual({
      postgres: 2,
      mongo: 2,
      ledger: 1,
      mongoLedger: 1,
    });
  });

  test('a collector that was frozen before MongoDB cannot remove the claim of a new update', async () => {
    const mark = await settleLongAgo(world, transaction);
    const cutoff = new Date(Date.now() - 20 * DAY_MILLIS);
    const name = { definition: transaction.name, token: mark.id };
    await run();
    await world.twinwrite.execute(transaction, mark);
    expect(await removeOldEntries(world.mongo.db(), [name], cutoff)).toEqual(new Set([name]));
    expect(await marksOf(world, transaction, mark.id)).toMatchObject({ ledger: 1, mongoLedger: 1 });
  });

  test('three at once beside live updates share the work, and each row is collected once', async () => {
    await fillLedgers(world, 450);
    const live = Array.from({ length: 20 }, () =>
      world.twinwrite.execute(transaction, { id: randomUUID() }),
    );
    const runs = await Promise.all([run(), run(), run()]);
    expect(runs.reduce((sum, { collected }) => sum + collected, 0)).toBe(450);
    for (const { status } of await Promise.all(live)) expect(status).toBe('applied');
    const left = await world.mongo
      .db()
      .collection<{ _id: string }>('twinwrite_ledger')
      .countDocuments({ _id: /fill-/ });
    expect(left).toBe(0);
  });

  test('a limit ends it early, a dry run changes nothing, and a signal ends it after its batch', async () => {
    await fillLedgers(world, 240);
    expect(await run({ isDryRun: true })).toMatchObject({ collected: 240, isFinished: true });
    expect(await run({ limit: 30 })).toMatchObject({ collected: 30, isFinished: false });
    const interruption = new AbortController();
    const report = () => interruption.abort();
    const interrupted = await run({ signal: interruption.signal, report });
    expect(interrupted).toMatchObject({ collected: 200, isFinished: false });
    expect(await run()).toMatchObject({ collected: 10, isFinished: true });
  });

  test('F29: an age within the retention and a day is refused, before anything is looked at', async () => {
    await fillLedgers(world, 1);
    const lowest = await readForgottenAfterMillis(world.temporal);
    const tooLow = run({ olderThanMillis: lowest - 1 });
    await expect(tooLow).rejects.toMatchObject({ name: 'AgeTooLowError', lowestMillis: lowest });
    expect(await run({ olderThanMillis: lowest })).toMatchObject({ collected: 1 });
  });

  test('while Temporal cannot be asked, nothing is collected', async () => {
    const mark = await settleLongAgo(world, transaction);
    const { connection } = world.temporal;
    const temporal = new Client({ connection, namespace: 'no-such-namespace' });
    // Asked for one workflow, such a namespace answers as if it had forgotten it.
    const names = [{ definition: transaction.name, token: mark.id }];
    await expect(findRetained(temporal, names)).rejects.toMatchObject({ code: 'Unavailable' });
    await expect(run({ temporal })).rejects.toMatchObject({ code: 'Unavailable' });
    expect(await marksOf(world, transaction, mark.id)).toMatchObject({ ledger: 1, mongoLedger: 1 });
  });

  test('F29: once its workflow is deleted from Temporal, it is collected', async () => {
    await forgotten();
    await makeOld(world, [deleted.id]);
    expect(await run()).toMatchObject({ collected: 1, kept: { retained: 0 } });
    expect(await marksOf(world, transaction, deleted.id)).toMatchObject(ABSENT);
  });
});

async function claimWaits({ postgres }: World): Promise<void> {
  await eventually(async () => {
    const { rowCount } = await postgres.query(
      `select 1 from pg_stat_activity
        where datname = current_database() and wait_event_type = 'Lock' and query like '%twinwrite.claim%'`,
    );
    return rowCount === 0 ? undefined : true;
  }, 'a claim waits for a lock');
}

async function resetToItsBeginning({ temporal }: World, workflowId: string): Promise<void> {
  const { workflowService } = temporal.connection;
  const { namespace } = temporal.options;
  // The first workflow task ends with the fourth event: started, scheduled, started, completed.
  await workflowService.resetWorkflowExecution({
    namespace,
    workflowExecution: { workflowId },
    reason: 'by the test',
    requestId: randomUUID(),
    workflowTaskFinishEventId: 4 as never,
  });
}
