/**
 * Goal: the MongoDB ledger of the transaction form, clause by clause. Method: sessions that
 * interleave by hand on a real replica set.
 */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import type { Db } from 'mongodb';
import * as ledger from '../../../src/activities/mongo/ledger';
import { inTransaction } from '../../../src/activities/mongo/transaction';
import { openWorld, type World } from '../../support/world';

describe('the ledger in MongoDB', () => {
  let world: World;
  let db: Db;
  let sequence = 0;

  beforeAll(async () => {
    world = await openWorld();
    db = world.mongo.db();
  });

  afterAll(async () => {
    await world.close();
  });

  const freshKey = () => ({ definition: 'd', token: `t${++sequence}`, fingerprint: '1:x' });
  const claim = (key: ReturnType<typeof freshKey>) =>
    inTransaction(world.mongo, { timeoutMillis: 3_000, key }, (session) =>
      ledger.claim(db, session, key),
    );

  test('clause 3: a token is claimed once', async () => {
    const key = freshKey();
    await claim(key);
    await expect(claim(key)).rejects.toBeInstanceOf(ledger.ClaimTakenError);
    expect(await ledger.recall(db, key, 3_000)).toMatchObject({ state: 'applied' });
  });

  test('clause 3: a claim that is rolled back was never made', async () => {
    const key = freshKey();
    const failed = inTransaction(world.mongo, { timeoutMillis: 3_000, key }, async (session) => {
      await ledger.claim(db, session, key);
      throw new Error('by the test');
    });
    await expect(failed).rejects.toThrow('by the test');
    expect(await ledger.recall(db, key, 3_000)).toBeUndefined();
    await claim(key);
  });

  test('clause 5: after the fence a claim is refused for ever', async () => {
    const key = freshKey();
    expect(await ledger.fence(db, key, 3_000)).toMatchObject({ state: 'fenced' });
    await expect(claim(key)).rejects.toBeInstanceOf(ledger.ClaimTakenError);
    expect(await ledger.fence(db, key, 3_000)).toMatchObject({ state: 'fenced' });
  });

  test('clause 5: a fence waits for an open claim and says who won', async () => {
    const key = freshKey();
    const session = world.mongo.startSession();
    session.startTransaction({ writeConcern: { w: 'majority' } });
    await ledger.claim(db, session, key);
    const fence = ledger.fence(db, key, 3_000);
    await session.commitTransaction();
    await session.endSession();
    expect(await fence).toMatchObject({ state: 'applied' });
  });

  test('clause 5: an applied claim is undone once', async () => {
    const key = freshKey();
    await claim(key);
    const undo = () =>
      inTransaction(world.mongo, { timeoutMillis: 3_000, key }, (session) =>
        ledger.recordUndone(db, session, key),
      );
    expect(await undo()).toBe(true);
    expect(await undo()).toBe(false);
    expect(await ledger.recall(db, key, 3_000)).toMatchObject({ state: 'undone' });
  });

  test('clause 1: another fingerprint is TokenReused', async () => {
    const key = freshKey();
    await claim(key);
    const other = { ...key, fingerprint: '1:y' };
    await expect(ledger.recall(db, other, 3_000)).rejects.toMatchObject({ code: 'TokenReused' });
    await expect(ledger.fence(db, other, 3_000)).rejects.toMatchObject({ code: 'TokenReused' });
  });

  test('clause 8: past its deadline a transaction is aborted, and its callback cannot write any more', async () => {
    const key = freshKey();
    let late: Promise<unknown> | undefined;
    const slow = inTransaction(world.mongo, { timeoutMillis: 200, key }, async (session) => {
      await ledger.claim(db, session, key);
      late = new Promise((resolve) => setTimeout(resolve, 400)).then(() =>
        db.collection('late').insertOne({ a: 1 }, { session }),
      );
      await late;
    });
    await expect(slow).rejects.toMatchObject({ name: 'MongoDeadlineError' });
    await expect(late).rejects.toThrow();
    expect(await ledger.recall(db, key, 3_000)).toBeUndefined();
    expect(await db.collection('late').countDocuments()).toBe(0);
  });
});
