/**
 * Goal: a cancel that comes when both stores have the update changes no outcome, whatever the
 * workflow knows of it (F8). Method: a worker that is busy in its log just when the update is
 * settled, while somebody cancels, so that the completion of that very task is rejected; and one
 * that never hears that it settled the update.
 */
import { execFileSync } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import pino from 'pino';
import {
  countedProjection,
  countedTransaction,
  effectsOf,
  prepareEffects,
} from '../support/counted-definitions';
import { eventually } from '../support/eventually';
import { type FaultyStores, openFaultyStores, outcomeOf } from '../support/faulty-stores';
import { openWorld, type World } from '../support/world';

const projection = countedProjection();
const transaction = countedTransaction();
const ONCE = { applied: 1, undone: 0 };

describe('a cancel after both legs committed', () => {
  let world: World;
  let stores: FaultyStores;
  const toCancel = new Set<string>();

  beforeAll(async () => {
    world = await openWorld();
    await prepareEffects(world);
    const logger = pino({ level: 'info' }, { write: cancelWhenSettled });
    stores = await openFaultyStores(world);
    await stores.startWorker([projection, transaction], { logger });
  });

  afterAll(async () => {
    await stores.release();
    await stores.close();
    await world.close();
  });

  /** The line is written before the task is completed, and the worker waits for it. */
  function cancelWhenSettled(line: string): void {
    const { msg, token, definition } = JSON.parse(line) as Record<string, string>;
    if (msg !== 'update settled' || token === undefined || !toCancel.delete(token)) return;
    execFileSync(process.execPath, [
      join(__dirname, 'fixtures', 'cancel-workflow.js'),
      world.addresses.temporalAddress,
      `${definition}/${token}`,
    ]);
  }

  test.each([projection, transaction])(
    'clause 5, F8: cancelled in the task after its last leg, it is applied ($form)',
    async (definition) => {
      const id = randomUUID();
      toCancel.add(id);
      const handle = await world.twinwrite.submit(definition, { id });
      expect(await handle.outcome()).toEqual({ status: 'applied', result: { id } });
      expect(await effectsOf(world, definition, id)).toEqual({ postgres: ONCE, mongo: ONCE });
      const { events } = await world.temporal.workflow.getHandle(handle.workflowId).fetchHistory();
      const cancelledAt = events?.findIndex(
        (event) => event.workflowExecutionCancelRequestedEventAttributes != null,
      );
      const rejectedAt = events?.findIndex(
        (event) => event.workflowTaskFailedEventAttributes != null,
      );
      expect(cancelledAt).toBeGreaterThan(0);
      expect(rejectedAt).toBeGreaterThan(0);
    },
  );

  test.each([projection, transaction])(
    'clause 5, F8: cancelled before the workflow knows that it is settled, it is applied ($form)',
    async (definition) => {
      const id = randomUUID();
      const met = stores.postgresProxy.plan({
        request: new RegExp(`twinwrite\\.settle\\(.*${id}.*; commit$`),
        fault: 'hold the answer',
      });
      const handle = await world.twinwrite.submit(definition, { id });
      await eventually(() => met.times === 1, 'the update is being settled');
      await handle.cancel();
      expect(await outcomeOf(handle)).toEqual({ status: 'applied', result: { id } });
      expect(await effectsOf(world, definition, id)).toEqual({ postgres: ONCE, mongo: ONCE });
    },
  );
});
