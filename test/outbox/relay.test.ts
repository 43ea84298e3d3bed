/**
 * Goal: what a transaction enlists has one effect and one outcome when it is committed, whoever else
 * submits it meanwhile, and none when it is rolled back. Method: a worker on real servers; effects
 * that show if they happen twice.
 */
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { WorkflowNotFoundError } from '@temporalio/client';
import { submitInTransaction, submitManyInTransaction } from 'twinwrite';
import {
  countedProjection,
  countedTransaction,
  effectsOf,
  prepareEffects,
} from '../support/counted-definitions';
import { eventually } from '../support/eventually';
import { openWorld, type RunningWorker, type World } from '../support/world';
import { counted, enlistedRows, inOwnTransaction, ONCE } from './enlisting';

describe('the relay', () => {
  const projection = countedProjection();
  const transaction = countedTransaction();
  let world: World;
  let worker: RunningWorker;
  let here: { taskQueue: string };

  beforeAll(async () => {
    world = await openWorld();
    here = { taskQueue: world.name };
    await prepareEffects(world);
    worker = await world.startWorker({ updates: [projection, transaction] });
  });

  afterAll(async () => {
    await worker.stop();
    await world.close();
  });

  const isKnown = async (token: string) =>
    await world.temporal.workflow
      .getHandle(`${projection.name}/${token}`)
      .describe()
      .then(() => true)
      .catch((error: unknown) => {
        if (error instanceof WorkflowNotFoundError) return false;
        throw error;
      });

  test.each([projection, transaction])('starts what is committed: $name', async (definition) => {
    const inputs = [counted(), { ...counted(), refusedBy: 'mongo' as const }];
    const enlisted = await inOwnTransaction(world.postgres, (execute) =>
      submitManyInTransaction(execute, definition, inputs, here),
    );
    const outcomes = enlisted.map((one) => world.twinwrite.handle(one).outcome());
    expect(await Promise.all(outcomes)).toMatchObject([
      { status: 'applied', result: { id: inputs[0]?.id } },
      { status: 'compensated' },
    ]);
    expect(await effectsOf(world, definition, inputs[0]?.id ?? '')).toEqual(ONCE);
    expect(await enlistedRows(world.postgres, definition)).toEqual([]);
  });

  test('never starts what is rolled back, and says so to whoever waits for it', async () => {
    const [rolledBack, committed] = [counted(), counted()];
    const abandoned = inOwnTransaction(world.postgres, async (execute) => {
      const enlisted = await submitInTransaction(execute, projection, rolledBack, here);
      const waiting = world.twinwrite.handle(enlisted).outcome({ timeoutMillis: 500 });
      await expect(waiting).rejects.toMatchObject({ code: 'UnknownUpdate', token: rolledBack.id });
      throw new Error('rolled back');
    });
    await expect(abandoned).rejects.toThrow('rolled back');
    const enlisted = await inOwnTransaction(world.postgres, (execute) =>
      submitInTransaction(execute, projection, committed, here),
    );
    await world.twinwrite.handle(enlisted).outcome();
    expect([await isKnown(rolledBack.id), await isKnown(committed.id)]).toEqual([false, true]);
  });

  test('a token that is enlisted and executed at once has one effect and one outcome', async () => {
    const inputs = Array.from({ length: 5 }, counted);
    const answers = await Promise.all(
      inputs.map(async (input) => {
        const enlist = async () => {
          const enlisted = await inOwnTransaction(world.postgres, (execute) =>
            submitInTransaction(execute, transaction, input, here),
          );
          return await world.twinwrite.handle(enlisted).outcome();
        };
        return await Promise.all([enlist(), world.twinwrite.execute(transaction, input)]);
      }),
    );
    expect(answers).toEqual(
      inputs.map(({ id }) => [1, 2].map(() => ({ status: 'applied', result: { id } }))),
    );
    for (const { id } of inputs) expect(await effectsOf(world, transaction, id)).toEqual(ONCE);
  });

  test('clause 1: what Temporal has forgotten is answered by the ledger, and has no second effect', async () => {
    const input = counted();
    const { id: token } = input;
    const request = { definition: transaction.name, token, input };
    // Under another id, so that Temporal knows nothing of the token, as after its retention.
    await world.temporal.workflow.execute('crossStoreUpdate', {
      workflowId: `forgotten-${randomUUID()}`,
      taskQueue: world.name,
      args: [request],
    });
    const enlisted = await inOwnTransaction(world.postgres, (execute) =>
      submitInTransaction(execute, transaction, input, here),
    );
    const outcome = await world.twinwrite.handle(enlisted).outcome();
    expect(outcome).toEqual({ status: 'applied', result: { id: token } });
    expect(await effectsOf(world, transaction, token)).toEqual(ONCE);
  });

  test('leaves alone what is enlisted for another task queue', async () => {
    const [elsewhere, mine] = [counted(), counted()];
    const enlisted = await inOwnTransaction(world.postgres, async (execute) => {
      await submitInTransaction(execute, projection, elsewhere, { taskQueue: 'another' });
      return await submitInTransaction(execute, projection, mine, here);
    });
    await world.twinwrite.handle(enlisted).outcome();
    const rows = await enlistedRows(world.postgres, projection);
    expect(rows).toEqual([{ token: elsewhere.id, state: 'waiting', parked: null, attempts: 0 }]);
  });

  test('an outcome that takes longer is StillRunning, with the time that the caller gave', async () => {
    const { id } = counted();
    const holder = await world.postgres.connect();
    await holder.query('begin; lock table effect in exclusive mode');
    try {
      const enlisted = await submitInTransaction(
        (sql, parameters) => world.postgres.query(sql, parameters),
        projection,
        { id },
        here,
      );
      const handle = world.twinwrite.handle(enlisted);
      await eventually(async () => (await isKnown(id)) || undefined, 'it is started');
      await expect(handle.outcome({ timeoutMillis: 300 })).rejects.toMatchObject({
        code: 'StillRunning',
        fields: { timeoutMillis: 300 },
      });
      await holder.query('rollback');
      expect(await handle.outcome()).toMatchObject({ status: 'applied' });
    } finally {
      holder.release(true);
    }
  });
});
