/**
 * Goal: what the ledger keeps is what any later driver needs, and what a duplicate is told is as
 * durable as what it is told of. Method: claims on real connections, and what the server says of
 * them.
 */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { Pool } from 'pg';
import * as ledger from '../../../src/activities/postgres/ledger';
import { inTransaction } from '../../../src/activities/postgres/transaction';
import { openWorld, type World } from '../../support/world';
import { queueOf } from './queue-of';

describe('what is recorded with a claim', () => {
  let world: World;
  let pool: Pool;
  const { update, claimed, settle } = queueOf(() => pool);

  beforeAll(async () => {
    world = await openWorld();
    pool = world.postgres;
  });

  afterAll(async () => {
    await world.close();
  });

  const pendingOf = async (ticket: string) =>
    (
      await pool.query(
        'select input, entities, workflow from twinwrite.pending where ticket = $1',
        [ticket],
      )
    ).rows;

  test('F10, F22: an unsettled update has a row with what driving it takes, and a settled one has none', async () => {
    const unsettled = update(['e:1'], { input: { amount: 7 } });
    const claim = await claimed(unsettled);
    const { workflow } = unsettled.plan;
    const row = { input: '{"amount":7}', entities: ['e:1'], workflow };
    expect(await pendingOf(claim.ticket)).toEqual([row]);
    await settle(unsettled, claim);
    expect(await pendingOf(claim.ticket)).toEqual([]);
  });

  test.each(['before it is settled', 'after'])(
    'F32: the answer to a duplicate %s waits for the same replication as what it tells of',
    async (when) => {
      const known = update([`e:${when}`]);
      const claim = await claimed(known);
      if (when === 'after') await settle(known, claim);
      const assigned = await inTransaction(pool, { timeoutMillis: 2_000 }, async (client) => {
        await ledger.claimKnown(client, known.key);
        const { rows } = await client.query('select pg_current_xact_id_if_assigned() as id');
        return rows[0] as { id: string | null };
      });
      // The COMMIT of a transaction without an id writes nothing that a standby could confirm.
      expect(assigned.id).not.toBeNull();
    },
  );

  test('F42: a leg reads what is committed, whatever the role has for a default', async () => {
    const careful = new Pool({
      connectionString: world.postgresUrl,
      max: 1,
      options: '-c default_transaction_isolation=serializable -c default_transaction_read_only=on',
    });
    const seen = await inTransaction(careful, { timeoutMillis: 2_000 }, async (client) => {
      const { rows } = await client.query(
        `select current_setting('transaction_isolation') as level, current_setting('transaction_read_only') as only`,
      );
      return rows[0] as unknown;
    });
    await careful.end();
    expect(seen).toEqual({ level: 'read committed', only: 'off' });
  });
});
