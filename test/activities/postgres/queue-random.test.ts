/**
 * Goal: clause 7 under load: mutual exclusion, no deadlock, nobody forgotten. Method: many updates
 * with random entities on real connections, which wait for nothing but their call.
 */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import * as ledger from '../../../src/activities/postgres/ledger';
import type { Reason } from '../../../src/domain/outcome';
import { openWorld, type World } from '../../support/world';
import { queueOf, type Update } from './queue-of';

const REASON: Reason = { code: 'Cancelled', message: 'by the test' };

describe('the queue under load', () => {
  let world: World;

  beforeAll(async () => {
    world = await openWorld();
  });

  afterAll(async () => {
    await world.close();
  });

  test('clause 7: at random, no two of one entity are ever open at once, and everybody ends', async () => {
    const { postgres: pool } = world;
    const { update, claim, settle } = queueOf(() => pool);
    const open = new Set<string>();
    const keys = Array.from({ length: 5 }, (_, index) => `e:${index}`);
    const called = new Map<string, () => void>();
    const call = (workflows: readonly string[]) => {
      for (const workflow of workflows) called.get(workflow)?.();
    };
    const run = async (wanted: Update): Promise<void> => {
      for (;;) {
        const turn = new Promise<void>((resolve) => called.set(wanted.plan.workflow, resolve));
        const answer = await claim(wanted);
        if (answer.at === 'claimed') {
          const { entities } = answer.claim;
          expect(entities.filter((entity) => open.has(entity))).toEqual([]);
          for (const entity of entities) open.add(entity);
          await pool.query('select 1');
          for (const entity of entities) open.delete(entity);
          call(await settle(wanted, answer.claim));
          return;
        }
        if (wanted.plan.entities.length === 3) {
          call((await ledger.fence(pool, wanted.key, REASON, wanted.plan.workflow)).turns);
          return;
        }
        await turn;
      }
    };
    const updates = Array.from({ length: 150 }, () =>
      update(keys.filter(() => Math.random() < 0.4).sort(() => Math.random() - 0.5)),
    );
    await Promise.all(updates.map(run));
    const left = await pool.query(
      `select (select count(*) from twinwrite.waiting where key like $1)
            + (select count(*) from twinwrite.entity where key like $1 and (holder is not null or waiting <> 0)) as count`,
      ['e:%'],
    );
    expect(left.rows).toEqual([{ count: '0' }]);
  });
});
