/**
 * Goal: a deploy migrates first and replaces the workers afterwards, so for a while workers of the
 * build before the queue meet the queue's schema. Method: the statements that they send, as text,
 * on a database that was theirs and is migrated under them.
 */
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { Pool } from 'pg';
import { findOverdueCalls } from '../../../src/activities/overdue';
import * as ledger from '../../../src/activities/postgres/ledger';
import { BOOTSTRAP, migratePostgres } from '../../../src/activities/postgres/migrate';
import { ledger as firstMigration } from '../../../src/activities/postgres/migrations/0001-ledger';
import { stackAddresses } from '../../support/stack-addresses';
import { queueOf } from './queue-of';

const CLAIM = /*sql*/ `select * from twinwrite.claim($1, $2, '1:x', 'w', 'transaction', true, $3, '{}', '{}', '5 minutes')`;

describe('a worker of the previous build', () => {
  const name = `test_${randomUUID().replaceAll('-', '').slice(0, 12)}`;
  const { postgresUrl } = stackAddresses();
  const admin = new Pool({ connectionString: postgresUrl, max: 1 });
  let pool: Pool;
  const { update, claim, claimed, waits, settle } = queueOf(() => pool);

  const claimAsBefore = async (token: string, entity: string) =>
    (await pool.query(CLAIM, ['d', token, [entity]])).rows[0];

  beforeAll(async () => {
    await admin.query(`create database ${name}`);
    const url = new URL(postgresUrl);
    url.pathname = `/${name}`;
    pool = new Pool({ connectionString: url.toString() });
    await pool.query(BOOTSTRAP);
    await pool.query(firstMigration.sql);
    await pool.query(`insert into twinwrite.migration (version, name) values (1, 'ledger')`);
    await claimAsBefore('before', 'e:before');
    await migratePostgres(pool);
  });

  afterAll(async () => {
    await pool.end();
    await admin.query(`drop database ${name}`);
    await admin.end();
  });

  test('left updates in flight, which are settled by the next build', async () => {
    const key = { definition: 'd', token: 'before', fingerprint: '1:x' };
    const answer = await ledger.claimKnown(pool, key);
    if (answer?.at !== 'forward') throw new Error('it is in flight');
    expect((await ledger.settle(pool, key, answer.claim)).answer).toMatchObject({ at: 'settled' });
  });

  test('claims what is free, with the hold that the next build expects', async () => {
    expect(await claimAsBefore('old', 'e:free')).toMatchObject({ answer: 'claimed' });
    const waiter = update(['e:free']);
    await waits(waiter);
    const settled = await pool.query(
      `select s.* from twinwrite.ledger l, lateral twinwrite.settle('d', 'old', l.ticket) s where token = 'old'`,
    );
    expect(settled.rows[0]).toMatchObject({ answer: 'settled' });
    // It cannot signal whom it called: a worker of the next build does, once that is overdue.
    await pool.query(`update twinwrite.pending set due = now() where stage = 'granted'`);
    expect(await findOverdueCalls(pool, 100)).toEqual([waiter.plan.workflow]);
    await settle(waiter, await claimed(waiter));
  });

  test('is told to try again where it would have to wait, and joins no queue', async () => {
    const holder = update(['e:held']);
    const hold = await claimed(holder);
    await expect(claimAsBefore('late', 'e:held')).rejects.toMatchObject({ code: '55P03' });
    expect((await pool.query('select 1 from twinwrite.waiting')).rowCount).toBe(0);
    await settle(holder, hold);
    expect(await claimAsBefore('late', 'e:held')).toMatchObject({ answer: 'claimed' });
  });

  test('takes no turn of a token that waits: it could not hand it on', async () => {
    const holder = update(['e:turn']);
    const hold = await claimed(holder);
    const waiter = update(['e:turn']);
    await waits(waiter);
    const { token } = waiter.key;
    const recall = () => pool.query(`select * from twinwrite.recall('d', $1)`, [token]);
    await expect(recall()).rejects.toMatchObject({ code: '55P03' });
    await settle(holder, hold);
    await expect(claimAsBefore(token, 'e:turn')).rejects.toMatchObject({ code: '55P03' });
    expect(await claim(waiter)).toMatchObject({ at: 'claimed', byTurn: true });
  });
});
