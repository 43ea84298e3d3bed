/**
 * Goal: whoever waited for an entity's lock judges what is there when it has the lock, and not what
 * was there when it began to wait (F7); and all lock in one order (F16). Method: a step that waits
 * behind an open transaction, on two real connections; PostgreSQL says when it waits.
 */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import type { PoolClient } from 'pg';
import * as ledger from '../../../src/activities/postgres/ledger';
import type { Reason } from '../../../src/domain/outcome';
import { eventually } from '../../support/eventually';
import { openWorld, type World } from '../../support/world';
import { queueOf, type Update } from './queue-of';

const REASON: Reason = { code: 'Cancelled', message: 'by the test' };

describe('a step that waits for a lock', () => {
  let world: World;
  let sequence = 0;
  let entity: string;
  const { update, free, claim, claimed, waits, settle } = queueOf(() => world.postgres);

  beforeAll(async () => {
    world = await openWorld();
  });

  afterAll(async () => {
    await world.close();
  });

  beforeEach(() => {
    sequence += 1;
    entity = `a:${sequence}`;
  });

  const somebodyWaits = async () => {
    await eventually(async () => {
      const { rowCount } = await world.postgres.query(
        `select from pg_locks l join pg_stat_activity a using (pid)
          where a.datname = current_database() and not l.granted`,
      );
      return rowCount === 0 ? undefined : true;
    }, 'the claim waits for the lock');
  };

  /** The answer of a claim that began before `change` was committed, and could go on only after. */
  const claimDuring = async (
    change: (client: PoolClient) => Promise<unknown>,
    wanted: Update,
  ): Promise<string> => {
    const client = await world.postgres.connect();
    try {
      await client.query('begin');
      await change(client);
      const answer = claim(wanted);
      await somebodyWaits();
      await client.query('commit');
      return (await answer).at;
    } finally {
      client.release();
    }
  };

  const holders = [
    ['a holder', () => update([entity])],
    ['a free update (F2)', () => free([entity])],
  ] as const;

  test.each(holders)(
    'clause 7, F7: %s waits in the queue for a hold that was committed meanwhile',
    async (_, make) => {
      const first = update([entity]);
      expect(
        await claimDuring((client) => ledger.claim(client, first.key, first.plan), make()),
      ).toBe('waiting');
    },
  );

  test.each(holders)(
    'clause 7, F7: %s that is new gets in line behind one that was called meanwhile',
    async (_, make) => {
      const [first, called] = [update([entity]), update([entity])];
      const hold = await claimed(first);
      await waits(called);
      const newest = make();
      const settling = (client: PoolClient) => ledger.settle(client, first.key, hold);
      expect(await claimDuring(settling, newest)).toBe('waiting');
      await claimed(called);
    },
  );

  test.each(holders)(
    'clause 7, F7: %s takes an entity that was released meanwhile',
    async (_, make) => {
      const first = update([entity]);
      const hold = await claimed(first);
      const settling = (client: PoolClient) => ledger.settle(client, first.key, hold);
      expect(await claimDuring(settling, make())).toBe('claimed');
    },
  );

  test.each(holders)(
    'clause 7, F7: %s that waited does not come between when another leaves the queue',
    async (_, make) => {
      const [holder, first, second, last] = [
        update([entity]),
        update([entity]),
        update([entity]),
        make(),
      ];
      const hold = await claimed(holder);
      for (const waiter of [first, second, last]) await waits(waiter);
      await settle(holder, hold);
      const leaving = (client: PoolClient) => ledger.fence(client, first.key, REASON, 'w');
      expect(await claimDuring(leaving, last)).toBe('waiting');
      await claimed(second);
    },
  );

  /** Whether `step`, which cannot have the later key yet, has locked the earlier one already. */
  const locksInOrder = async (step: () => Promise<unknown>) => {
    const [earlier, later] = [`${entity}/1`, `${entity}/2`];
    const client = await world.postgres.connect();
    try {
      await client.query('begin');
      const lock = 'select from twinwrite.entity where key = $1 for update';
      await client.query(lock, [later]);
      const done = step();
      await somebodyWaits();
      const probe = world.postgres.query(`${lock} nowait`, [earlier]);
      await expect(probe).rejects.toMatchObject({ code: '55P03' });
      await client.query('commit');
      await done;
    } finally {
      client.release();
    }
  };

  test('clause 7, F16: whoever claims, comes again, settles or leaves locks its entities in one order', async () => {
    const keys = [`${entity}/2`, `${entity}/1`];
    const [holder, waiter, leaver] = [update(keys), update(keys), update(keys)];
    const hold = await claimed(holder);
    await locksInOrder(() => waits(waiter));
    await locksInOrder(() => waits(waiter));
    await waits(leaver);
    await locksInOrder(() => ledger.fence(world.postgres, leaver.key, REASON, 'w'));
    await locksInOrder(() => settle(holder, hold));
    await claimed(waiter);
  });
});
