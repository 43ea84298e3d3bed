/**
 * Goal: the Postgres ledger's functions, clause by clause. Method: two connections that interleave
 * by hand; no workflow, no worker.
 */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import type { Pool, PoolClient } from 'pg';
import * as ledger from '../../../src/activities/postgres/ledger';
import type { Reason } from '../../../src/domain/outcome';
import { eventually } from '../../support/eventually';
import { openWorld, type World } from '../../support/world';

const REASON: Reason = { code: 'Cancelled', message: 'by the test' };

describe('the ledger in PostgreSQL', () => {
  let world: World;
  let pool: Pool;
  let sequence = 0;

  beforeAll(async () => {
    world = await openWorld();
    pool = world.postgres;
  });

  afterAll(async () => {
    await world.close();
  });

  const freshKey = () => ({ definition: 'd', token: `t${++sequence}`, fingerprint: '1:x' });
  const plan = (overrides: Partial<ledger.ClaimedPlan> = {}): ledger.ClaimedPlan => ({
    workflow: 'w',
    form: 'projection',
    undoable: true,
    entities: [`e:${++sequence}`],
    documents: [`c/${sequence}`],
    input: {},
    ...overrides,
  });
  const versionOf = async (key: string): Promise<string> =>
    (await pool.query('select version::text from twinwrite.entity where key = $1', [key])).rows[0]
      ?.version;
  const pendingOf = async (ticket: string) =>
    (await pool.query('select stage from twinwrite.pending where ticket = $1', [ticket])).rows[0];

  async function within<Result>(work: (client: PoolClient) => Promise<Result>): Promise<Result> {
    const client = await pool.connect();
    try {
      await client.query('begin');
      const result = await work(client);
      await client.query('commit');
      return result;
    } finally {
      client.release();
    }
  }

  async function claimed(overrides: Partial<ledger.ClaimedPlan> = {}) {
    const key = freshKey();
    const answer = await within((client) => ledger.claim(client, key, plan(overrides)));
    if (answer.at !== 'claimed') throw new Error('a fresh token is claimed');
    return { key, claim: answer.claim };
  }

  test('clause 3: the first claim wins, and the next one finds it', async () => {
    const { key, claim } = await claimed();
    const again = await within((client) => ledger.claim(client, key, plan()));
    expect(again).toEqual({ at: 'forward', claim });
  });

  test('clause 3: a claim waits for the one in flight, and then finds what it committed', async () => {
    const key = freshKey();
    const first = await pool.connect();
    await first.query('begin');
    const won = await ledger.claim(first, key, plan());
    if (won.at !== 'claimed') throw new Error('a fresh token is claimed');
    await ledger.finishLeg(first, key, { ...won, claim: { ...won.claim, result: { n: 1 } } }, 'w');
    const second = within((client) => ledger.claim(client, key, plan()));
    await blockedSession(pool);
    await first.query('commit');
    first.release();
    expect(await second).toMatchObject({ at: 'forward', claim: { result: { n: 1 } } });
  });

  test('clause 3: a claim that waited for one that rolled back wins', async () => {
    const key = freshKey();
    const first = await pool.connect();
    await first.query('begin');
    await ledger.claim(first, key, plan());
    const second = within((client) => ledger.claim(client, key, plan()));
    await blockedSession(pool);
    await first.query('rollback');
    first.release();
    expect(await second).toMatchObject({ at: 'claimed' });
  });

  test('clause 7: each claim gives its entities and documents the next version', async () => {
    await claimed({ entities: ['e:7'], documents: ['c/7'], undoable: false });
    const before = BigInt(await versionOf('c/7'));
    await claimed({ entities: ['e:7'], documents: ['c/7'], undoable: false });
    expect(BigInt(await versionOf('c/7'))).toBe(before + 1n);
    expect(BigInt(await versionOf('e:7'))).toBe(before + 1n);
  });

  test('clause 13: a version begins with the epoch, and a raised epoch outgrows every version', async () => {
    await claimed({ documents: ['c/epoch'], undoable: false });
    await pool.query('update twinwrite.store set epoch = epoch + 1');
    await claimed({ documents: ['c/epoch'], undoable: false });
    expect(BigInt(await versionOf('c/epoch'))).toBe((1n << 40n) + 1n);
    await pool.query('update twinwrite.store set epoch = 0');
  });

  test('clause 1: the same token with another fingerprint is TokenReused, in every function', async () => {
    const { key, claim } = await claimed();
    const other = { ...key, fingerprint: '1:y' };
    const reused = { code: 'TokenReused', token: key.token };
    await expect(ledger.claim(pool, other, plan())).rejects.toMatchObject(reused);
    await expect(answerTo(ledger.fence)(pool, other, REASON, 'w')).rejects.toMatchObject(reused);
    await expect(answerTo(ledger.refuse)(pool, other, REASON, 'w')).rejects.toMatchObject(reused);
    await expect(ledger.claimKnown(pool, other)).rejects.toMatchObject(reused);
    expect(await pendingOf(claim.ticket)).toEqual({ stage: 'forward' });
  });

  test('clause 5: a fence before the claim refuses it for ever', async () => {
    const key = freshKey();
    const refused = { at: 'settled', outcome: { status: 'refused', reason: REASON } };
    expect(await answerTo(ledger.fence)(pool, key, REASON, 'w')).toEqual(refused);
    expect(await within((client) => ledger.claim(client, key, plan()))).toEqual(refused);
  });

  test('clause 5: a fence waits for a claim in flight and finds it, instead of overtaking it', async () => {
    const key = freshKey();
    const leg = await pool.connect();
    await leg.query('begin');
    await ledger.claim(leg, key, plan());
    const fence = answerTo(ledger.fence)(pool, key, REASON, 'w');
    await blockedSession(pool);
    await leg.query('commit');
    leg.release();
    expect(await fence).toMatchObject({ at: 'undoing', reason: REASON });
  });

  test('clause 5: exactly one of settling and undoing happens', async () => {
    for (let round = 0; round < 25; round += 1) {
      const { key, claim } = await claimed();
      const [settled, fenced] = await Promise.all([
        answerTo(ledger.settle)(pool, key, claim),
        answerTo(ledger.fence)(pool, key, REASON, 'w'),
      ]);
      const isApplied = settled.at === 'settled';
      expect(fenced.at).toBe(isApplied ? 'settled' : 'undoing');
      expect(await pendingOf(claim.ticket)).toEqual(isApplied ? undefined : { stage: 'undoing' });
    }
  });

  test('clause 5: without an undo the fence finds the update and the way is forward', async () => {
    const { key, claim } = await claimed({ undoable: false });
    expect(await answerTo(ledger.fence)(pool, key, REASON, 'w')).toEqual({ at: 'forward', claim });
  });

  test('clause 5: an undo gives a projection a new version, and happens once', async () => {
    const { key, claim } = await claimed({ documents: ['c/undo'] });
    await answerTo(ledger.fence)(pool, key, REASON, 'w');
    const before = BigInt(await versionOf('c/undo'));
    const first = await within(async (client) => {
      const opened = await ledger.beginUndo(client, key);
      await ledger.finishUndo(client, key);
      return opened;
    });
    expect(first.mustUndo).toBe(true);
    expect(BigInt(await versionOf('c/undo'))).toBe(before + 1n);
    const second = await within((client) => ledger.beginUndo(client, key));
    expect(second).toMatchObject({ mustUndo: false, answer: { at: 'undoing' } });
    expect(await answerTo(ledger.settle)(pool, key, { ...claim, undone: true })).toEqual({
      at: 'settled',
      outcome: { status: 'compensated', reason: REASON },
    });
  });

  test('clause 5: a late forward leg does not settle an undo whose image nobody has written', async () => {
    const { key, claim } = await claimed();
    await ledger.fence(pool, key, REASON, 'w');
    await within(async (client) => {
      await ledger.beginUndo(client, key);
      await ledger.finishUndo(client, key);
    });
    expect(await answerTo(ledger.settle)(pool, key, claim)).toMatchObject({ at: 'undoing' });
    expect(await pendingOf(claim.ticket)).toEqual({ stage: 'undoing' });
  });

  test('clause 5: undoing is not settled before the undo is recorded', async () => {
    const { key, claim } = await claimed();
    await answerTo(ledger.fence)(pool, key, REASON, 'w');
    expect(await answerTo(ledger.settle)(pool, key, claim)).toMatchObject({ at: 'undoing' });
  });

  test('clause 5: the undo of a transaction form settles', async () => {
    const { key } = await claimed({ form: 'transaction', documents: [] });
    await answerTo(ledger.fence)(pool, key, REASON, 'w');
    const finished = await within(async (client) => {
      await ledger.beginUndo(client, key);
      return (await ledger.finishUndo(client, key)).answer;
    });
    expect(finished).toEqual({ at: 'settled', outcome: { status: 'compensated', reason: REASON } });
  });

  test('clause 5: found applied in MongoDB, it goes forward again, but not once it is undone', async () => {
    const { key } = await claimed({ form: 'transaction', documents: [] });
    await answerTo(ledger.fence)(pool, key, REASON, 'w');
    expect(await ledger.resumeForward(pool, key)).toMatchObject({ at: 'forward' });
    await answerTo(ledger.fence)(pool, key, REASON, 'w');
    await within(async (client) => {
      await ledger.beginUndo(client, key);
      return await ledger.finishUndo(client, key);
    });
    expect(await ledger.resumeForward(pool, key)).toMatchObject({
      outcome: { status: 'compensated' },
    });
  });

  test('clause 6: the first record wins over a refusal that comes later', async () => {
    const { key, claim } = await claimed();
    expect(await answerTo(ledger.refuse)(pool, key, REASON, 'w')).toEqual({ at: 'forward', claim });
    const refusedFirst = freshKey();
    await answerTo(ledger.refuse)(pool, refusedFirst, REASON, 'w');
    expect(await within((client) => ledger.claim(client, refusedFirst, plan()))).toMatchObject({
      outcome: { status: 'refused', reason: REASON },
    });
  });

  test('clause 11: the view says in words what is where', async () => {
    const { key, claim } = await claimed({ entities: ['e:view'], documents: ['c/view'] });
    const look = async () =>
      (await pool.query('select * from twinwrite.updates where token = $1', [key.token])).rows[0];
    expect(await look()).toMatchObject({
      state: 'forward',
      postgres_leg: 'applied',
      mongo_leg: 'pending',
      entities: ['e:view'],
      documents: ['c/view'],
      workflow: 'w',
    });
    await answerTo(ledger.settle)(pool, key, claim);
    expect(await look()).toMatchObject({
      state: 'applied',
      mongo_leg: 'applied',
      workflow: `d/${key.token}`,
    });
  });
});

/** What a change of the ledger answers, without whom it calls. */
function answerTo<Parameters extends unknown[]>(
  change: (...parameters: Parameters) => Promise<ledger.LedgerReply>,
): (...parameters: Parameters) => Promise<ledger.LedgerReply['answer']> {
  return async (...parameters) => (await change(...parameters)).answer;
}

/** Waits until a session of this database waits for a lock. */
async function blockedSession(pool: Pool): Promise<void> {
  await eventually(async () => {
    const blocked = await pool.query(
      `select 1 from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`,
    );
    return blocked.rowCount === 0 ? undefined : true;
  }, 'a session waits for a lock');
}
