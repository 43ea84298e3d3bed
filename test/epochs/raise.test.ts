/**
 * Goal: a store that is restored to the past while updates run stops both stores, and the epoch,
 * once it is raised, brings them together again with nothing passed over in silence (clause 13,
 * F12). Method: a copy of one store put in its place under a running worker and running callers;
 * then the sums of both stores, and every answer that a caller got, are compared.
 */
import { isDeepStrictEqual } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { eventually } from '../support/eventually';
import { openWorld, type World } from '../support/world';
import { idsIn, keepUpdating, pointsOf, preparePoints, ticks, updates } from './points';
import { raise } from './raise';
import { backUpMongo, backUpPostgres } from './restore';

describe.each([
  { store: 'PostgreSQL', backUp: backUpPostgres },
  { store: 'MongoDB', backUp: backUpMongo },
])('$store, restored while updates run', ({ store, backUp }) => {
  let world: World;

  beforeAll(async () => {
    world = await openWorld();
    await preparePoints(world);
  });

  afterAll(async () => {
    await world.close();
  });

  test('clause 13, F12: stops every leg, and is brought back by raising the epoch', async () => {
    const worker = await world.startWorker({ updates, health: { port: 0 } });
    const callers = keepUpdating(world);
    const settled = async (more: number) => {
      const wanted = callers.settled().length + more;
      await eventually(() => callers.settled().length >= wanted, `${more} more are settled`);
    };
    await settled(6);
    const before = callers.settled().map(({ id }) => id);
    const backup = await backUp(world);
    await settled(6);
    await ticks(world, 2);
    const told = new Set(callers.settled().map(({ id }) => id));
    await backup.restore();

    const problem = await eventually(async () => {
      const answer = await fetch(`${worker.health?.url}/ready`);
      const text = await answer.text();
      return text.includes('went back in time') ? text : undefined;
    }, 'readiness says why');
    expect(problem).toContain(`${store} went back in time`);
    const metrics = await (await fetch(`${worker.health?.url}/metrics`)).text();
    expect(metrics).toContain(`twinwrite_epoch_stopped{store="${store}"} 1`);
    const stoppedAt = await pointsOf(world);

    const plan = await raise(world, { isDryRun: true });
    expect(plan.findings.length).toBeGreaterThan(0);
    expect(await pointsOf(world)).toEqual(stoppedAt);

    const { findings } = await raise(world);
    expect(findings.filter(({ end }) => end === 'needs somebody')).toEqual([]);
    await settled(6);
    await callers.end();
    expect(callers.settled().map(({ outcome }) => outcome?.status)).toEqual(
      callers.settled().map(() => 'applied'),
    );
    // Those that were started again have no caller any more.
    await eventually(async () => {
      const open = await world.postgres.query('select from twinwrite.pending');
      const { postgres, mongo } = await pointsOf(world);
      return open.rowCount === 0 && isDeepStrictEqual(postgres, mongo);
    }, 'the stores agree');
    const ids = await idsIn(world);
    expect(before.filter((id) => !ids.has(id))).toEqual([]);
    expect(callers.asked.filter(({ id }) => !ids.has(id))).toEqual([]);
    const named = new Set(
      findings.map((finding) => (finding.what === 'update' ? finding.token : '')),
    );
    const lost = callers.asked.filter(({ id }) => told.has(id) && !before.includes(id));
    // What only the lost part had is named: in MongoDB that is what has a ledger there.
    for (const { id, definition } of lost) {
      if (store === 'MongoDB' && definition.form === 'projection') continue;
      expect([id, named.has(id)]).toEqual([id, true]);
    }
    await worker.stop();
    await backup.drop();
  });
});
