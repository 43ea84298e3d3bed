/**
 * Goal: a store that is restored to the past while updates run stops both stores, and the epoch,
 * once it is raised, brings them together again with nothing passed over in silence (clause 13,
 * F12). Method: a copy of one store put in its place under a running worker and running callers;
 * then the sums of both stores, and every answer that a caller got, are compared.
 */
import { isDeepStrictEqual } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { projectPoints } from '../cli/fixtures/points.config';
import { eventually } from '../support/eventually';
import { openWorld, type World } from '../support/world';
import { add, idsIn, keepUpdating, pointsOf, preparePoints, ticks, updates } from './points';
import { raise } from './raise';
import { backUpMongo, backUpPostgres } from './restore';

describe.each([
  { store: 'PostgreSQL', backUp: backUpPostgres },
  { store: 'MongoDB', backUp: backUpMongo },
])('$store, restored while updates run', ({ store, backUp }) => {
  let world: World;
  let callers: ReturnType<typeof keepUpdating> | undefined;

  beforeAll(async () => {
    world = await openWorld();
    await preparePoints(world);
  });

  afterAll(async () => {
    callers?.stop();
    await world.close();
  });

  test('clause 13, F12: stops every leg, and is brought back by raising the epoch', async () => {
    const worker = await world.startWorker({ updates, health: { port: 0 } });
    const calls = keepUpdating(world);
    callers = calls;
    const settled = async (more: number) => {
      const wanted = calls.settled().length + more;
      await eventually(() => calls.settled().length >= wanted, `${more} more are settled`);
    };
    await settled(6);
    const before = calls.settled().map(({ id }) => id);
    const backup = await backUp(world);
    const asked = calls.asked.length;
    // Nothing comes after it that would write its document anyway.
    await add(world, projectPoints, 'quiet');
    await settled(6);
    await ticks(world, 2);
    const told = new Set(calls.settled().map(({ id }) => id));
    await backup.restore();

    const problemOf = async ({ health }: typeof worker) => {
      const text = await (await fetch(`${health?.url}/ready`)).text();
      return text.includes('went back in time') ? text : undefined;
    };
    const problem = await eventually(() => problemOf(worker), 'readiness says why');
    expect(problem).toContain(`${store} went back in time`);
    // One that knows nothing of the time that was lost.
    const taskQueue = `${world.name}_late`;
    const late = await world.startWorker({ updates, taskQueue, health: { port: 0 } });
    expect(await eventually(() => problemOf(late), 'the late one says so too')).toBe(problem);
    const metrics = await (await fetch(`${worker.health?.url}/metrics`)).text();
    expect(metrics).toContain(`twinwrite_epoch_stopped{store="${store}"} 1`);
    const stoppedAt = await pointsOf(world);

    const plan = await raise(world, { isDryRun: true });
    expect(plan.findings.length).toBeGreaterThan(0);
    expect(await pointsOf(world)).toEqual(stoppedAt);

    const { findings } = await raise(world);
    expect(findings.filter(({ end }) => end === 'needs somebody')).toEqual([]);
    await settled(6);
    await calls.end();
    expect(calls.settled().map(({ outcome }) => outcome?.status)).toEqual(
      calls.settled().map(() => 'applied'),
    );
    // Those that were started again have no caller any more.
    await eventually(async () => {
      const open = await world.postgres.query('select from twinwrite.pending');
      const { postgres, mongo } = await pointsOf(world);
      return open.rowCount === 0 && isDeepStrictEqual(postgres, mongo);
    }, 'the stores agree');
    const ids = await idsIn(world);
    expect(before.filter((id) => !ids.has(id))).toEqual([]);
    expect(calls.asked.filter(({ id }) => !ids.has(id))).toEqual([]);
    const named = new Set(
      findings.map((finding) => (finding.what === 'update' ? finding.token : '')),
    );
    const lost = calls.asked.slice(asked).filter(({ id }) => told.has(id));
    // What only the lost part had is named: in MongoDB that is what has a ledger there.
    for (const { id, definition } of lost) {
      if (store === 'MongoDB' && definition.form === 'projection') continue;
      expect([id, named.has(id)]).toEqual([id, true]);
    }
    expect((await fetch(`${late.health?.url}/ready`)).status).toBe(200);
    await Promise.all([worker.stop(), late.stop()]);
    await backup.drop();
  });
});
