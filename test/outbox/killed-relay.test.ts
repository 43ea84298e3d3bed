/**
 * Goal: what is committed is started once, wherever a relay dies: before the start, or after it and
 * before it is marked, while the update runs and when it has ended. Method: a worker process whose
 * relay stands still at that statement, SIGKILL, and another worker; effects that show if they
 * happen twice.
 */
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { WorkflowNotFoundError } from '@temporalio/client';
import { type Enlisted, submitManyInTransaction } from 'twinwrite';
import { workflowSource } from '../../src/worker/workflow-source';
import { countedTransaction, effectsOf, prepareEffects } from '../support/counted-definitions';
import { eventually } from '../support/eventually';
import { openWorld, type World } from '../support/world';
import { type DoomedRelay, HANGING, startDoomedRelay } from './doomed-relay';
import { enlistedRows, inOwnTransaction, ONCE } from './enlisting';

describe('a relay that is killed', () => {
  const definition = countedTransaction();
  let world: World;

  beforeAll(async () => {
    world = await openWorld();
    await prepareEffects(world);
    await workflowSource();
  });

  afterAll(async () => {
    await world.close();
  });

  const enlist = (ids: readonly string[]) =>
    inOwnTransaction(world.postgres, (execute) =>
      submitManyInTransaction(
        execute,
        definition,
        ids.map((id) => ({ id })),
        { taskQueue: world.name },
      ),
    );

  const describeRun = async (token: string | undefined) =>
    await world.temporal.workflow.getHandle(`${definition.name}/${token}`).describe();

  const outcomesOf = async (all: readonly Enlisted[]) =>
    await Promise.all(
      all.map((one) => world.twinwrite.handle(one).outcome({ timeoutMillis: 20_000 })),
    );

  /** Enlists, leads the relay to its stop, and kills it there after `meanwhile`. */
  const enlistForDoomed = async (
    stop: Parameters<typeof startDoomedRelay>[1],
    ids: readonly string[],
    meanwhile: (enlisted: readonly Enlisted[]) => Promise<void>,
  ): Promise<readonly Enlisted[]> => {
    const doomed: DoomedRelay = startDoomedRelay(world, stop);
    try {
      await doomed.created();
      const enlisted = await enlist(ids);
      await doomed.standsStill();
      await meanwhile(enlisted);
      expect(await enlistedRows(world.postgres, definition)).toHaveLength(ids.length);
      return enlisted;
    } finally {
      await doomed.kill();
    }
  };

  const anotherWorkerGoesOn = async (enlisted: readonly Enlisted[]) => {
    const survivor = await world.startWorker({ updates: [definition] });
    try {
      await eventually(
        async () => (await enlistedRows(world.postgres, definition)).length === 0 || undefined,
        'every row is gone',
      );
      return await outcomesOf(enlisted);
    } finally {
      await survivor.stop();
    }
  };

  test('between the start and the mark leaves updates that are started once, running or ended', async () => {
    const ids = [`${HANGING}${randomUUID()}`, randomUUID()];
    let ended: string | undefined;
    const enlisted = await enlistForDoomed('before the mark', ids, async (all) => {
      const [running, done] = all as readonly [Enlisted, Enlisted];
      await outcomesOf([done]);
      expect((await describeRun(running.token)).status.name).toBe('RUNNING');
      ended = (await describeRun(done.token)).runId;
    });
    const outcomes = await anotherWorkerGoesOn(enlisted);
    expect(outcomes).toEqual(ids.map((id) => ({ status: 'applied', result: { id } })));
    expect(await Promise.all(ids.map((id) => effectsOf(world, definition, id)))).toEqual(
      ids.map(() => ONCE),
    );
    expect((await describeRun(ids[1])).runId).toBe(ended);
  });

  test('between taking a row and its start leaves it to another relay', async () => {
    const ids = [randomUUID()];
    const enlisted = await enlistForDoomed('before the start', ids, async ([one]) => {
      await expect(describeRun(one?.token)).rejects.toThrow(WorkflowNotFoundError);
    });
    expect(await anotherWorkerGoesOn(enlisted)).toMatchObject([{ status: 'applied' }]);
    expect(await effectsOf(world, definition, ids[0] as string)).toEqual(ONCE);
  });
});
