/**
 * Goal: a transaction that its worker left open blocks its token no longer than it must (F13).
 * Method: transactions left open by hand, by a client that is cut off, and by the loss of the first
 * answer; the next claim is made by another client of the same replica set.
 */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { type ClientSession, type Db, MongoClient } from 'mongodb';
import * as ledger from '../../../src/activities/mongo/ledger';
import { endOrphans, noteOpen } from '../../../src/activities/mongo/orphans';
import { inTransaction } from '../../../src/activities/mongo/transaction';
import { eventually } from '../../support/eventually';
import { type MongoProxy, startMongoProxy } from '../../support/mongo-proxy';
import { openWorld, type World } from '../../support/world';

const timeoutMillis = 1_000;

describe('a MongoDB transaction left open', () => {
  let world: World;
  let db: Db;
  let proxy: MongoProxy;
  let other: MongoClient;
  let sequence = 0;
  const left: ClientSession[] = [];

  beforeAll(async () => {
    world = await openWorld();
    db = world.mongo.db();
    proxy = await startMongoProxy(world.mongoUri);
    other = new MongoClient(proxy.uri, { appName: world.name });
  });

  afterAll(async () => {
    await Promise.all(left.map((session) => session.endSession()));
    await other.close(true);
    await proxy.close();
    await world.close();
  });

  type Key = ReturnType<typeof freshKey>;
  const freshKey = () => ({ definition: 'd', token: `t${++sequence}`, fingerprint: '1:x' });
  const claim = async (key: Key) =>
    await inTransaction(world.mongo, { timeoutMillis, key }, (session) =>
      ledger.claim(db, session, key),
    );
  const notes = async (key?: Key) =>
    await db
      .collection('twinwrite_transactions')
      .countDocuments(key === undefined ? {} : { of: `d/${key.token}` });
  const overdue = async (key: Key) =>
    (await db
      .collection('twinwrite_transactions')
      .countDocuments({ of: `d/${key.token}`, $expr: { $lt: ['$until', '$$NOW'] } })) === 1;
  const endOverdue = async (key: Key, client = world.mongo) =>
    await eventually(async () => {
      await endOrphans(client, key);
      return (await notes(key)) === 0 || undefined;
    }, 'what is overdue is ended');

  /** What a worker leaves behind that was killed a while after its claim. */
  const leaveOpen = async (key: Key, openForMillis: number): Promise<ClientSession> => {
    const session = world.mongo.startSession();
    left.push(session);
    session.startTransaction();
    await noteOpen(world.mongo, session, key, openForMillis);
    await ledger.claim(db, session, key);
    return session;
  };

  test('F13: it keeps the next claim away, until whoever meets it ends it', async () => {
    const key = freshKey();
    await leaveOpen(key, 0);
    await expect(claim(key)).rejects.toMatchObject({ code: 112 });
    await endOverdue(key);
    await claim(key);
  });

  test('F13: a fence need not wait for it', async () => {
    const key = freshKey();
    await leaveOpen(key, 0);
    await endOverdue(key);
    expect(await ledger.fence(db, key, 500)).toMatchObject({ state: 'fenced' });
  });

  test('F13: a frozen attempt finds its transaction gone', async () => {
    const key = freshKey();
    const session = await leaveOpen(key, 0);
    await endOverdue(key);
    const late = db.collection('late').insertOne({ a: 1 }, { session });
    await expect(late).rejects.toMatchObject({ code: 251 });
    await expect(session.commitTransaction()).rejects.toMatchObject({ code: 251 });
    expect(await ledger.recall(db, key, timeoutMillis)).toBeUndefined();
  });

  test('an attempt within its time is left alone, and so is another token', async () => {
    const [key, another] = [freshKey(), freshKey()];
    const session = await leaveOpen(key, 60_000);
    const neighbour = await leaveOpen(another, 0);
    await endOrphans(world.mongo, key);
    await session.commitTransaction();
    await neighbour.commitTransaction();
    expect(await ledger.recall(db, key, timeoutMillis)).toMatchObject({ state: 'applied' });
    await db.collection('twinwrite_transactions').deleteMany({});
  });

  test('an orphan that cannot be ended is no error: the claim says whether it matters', async () => {
    const key = freshKey();
    const session = await leaveOpen(key, 0);
    const met = proxy.plan({ request: /^killSessions/, fault: 'cut before delivery' });
    await eventually(async () => {
      await endOrphans(other, key);
      return met.times === 1 || undefined;
    }, 'it is overdue, and was tried to be ended');
    expect(await notes(key)).toBe(1);
    await expect(claim(key)).rejects.toMatchObject({ code: 112 });
    await session.abortTransaction();
    await claim(key);
    await db.collection('twinwrite_transactions').deleteMany({});
  });

  test('F13: the driver aborts nothing when a commit never arrived, and we do', async () => {
    const key = freshKey();
    const request = new RegExp(`${key.token}.*; commitTransaction 1$`);
    const met = proxy.plan({ request, fault: 'cut before delivery', times: 2 });
    const lost = inTransaction(other, { timeoutMillis, key }, (session) =>
      ledger.claim(other.db(), session, key),
    );
    await expect(lost).rejects.toThrow();
    expect(met.times).toBe(2);
    await claim(key);
  });

  test('what the application does later in the same session is left alone', async () => {
    const key = freshKey();
    const session = await leaveOpen(key, 0);
    await session.commitTransaction();
    await eventually(async () => (await overdue(key)) || undefined, 'the time of the note is over');
    session.startTransaction();
    await db.collection('theirs').insertOne({ a: 1 }, { session });
    await endOverdue(key);
    await session.commitTransaction();
    expect(await db.collection('theirs').countDocuments()).toBe(1);
  });

  test('a session has one note at most, and one that was acted on has none', async () => {
    await db.collection('twinwrite_transactions').deleteMany({});
    for (let round = 0; round < 5; round += 1) await claim(freshKey());
    expect(await notes()).toBe(1);
    await endOverdue({ definition: 'd', token: `t${sequence}`, fingerprint: '1:x' });
    expect(await notes()).toBe(0);
  });
});
