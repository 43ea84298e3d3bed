/**
 * Goal: the model of MongoDB does what the server does, where the explorer relies on it. Method: the
 * same small traces of production's own operations, of two or three sessions that get in each
 * other's way, on the model and on the real server; every answer and all documents that are left are
 * compared. What the model leaves out: other members, and with them whatever a failover takes back.
 */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { type ClientSession, type Db, Long, MongoError } from 'mongodb';
import type { VersionedImage } from '../../src/activities/image';
import * as ledger from '../../src/activities/mongo/ledger';
import { killSession } from '../../src/activities/mongo/orphans';
import { NOT_OURS, writeImage } from '../../src/activities/mongo/projection';
import { defineProjection } from '../../src/domain/projection';
import { openWorld, type World } from '../support/world';
import { ModelMongoStand, type MongoStand, RealMongoStand } from './mongo-stands';

const KEY = { definition: 'd', token: 't', fingerprint: '1:x' };
const WITHIN_MILLIS = 5_000;

const documents = defineProjection({ collection: 'documents', image: async () => [] });
const imageOf = (version: number, image?: object): VersionedImage => ({
  reference: documents.document('a'),
  image: image === undefined ? undefined : { _id: 'a', ...image },
  version: String(version),
  holder: null,
});

const told = async (answer: Promise<unknown>): Promise<unknown> => {
  try {
    return (await answer) ?? 'done';
  } catch (error) {
    const { code, name, errorLabels } = error as MongoError & { code?: unknown };
    const labels = error instanceof MongoError ? [...errorLabels].sort() : [];
    return { code, name: name === 'ClaimTakenError' ? name : 'error', labels };
  }
};

type Trace = (stand: MongoStand, db: Db) => Promise<unknown>;

const begun = (stand: MongoStand): ClientSession => {
  const session = stand.startSession();
  session.startTransaction({ readConcern: { level: 'snapshot' }, writeConcern: { w: 'majority' } });
  return session;
};

const TRACES: Readonly<Record<string, Trace>> = {
  'of two claims the second one loses at once': async (stand, db) => {
    const [a, b, c] = [begun(stand), begun(stand), begun(stand)];
    await ledger.claim(db, a, KEY);
    const conflict = await told(ledger.claim(db, b, KEY));
    await a.commitTransaction();
    const taken = await told(ledger.claim(db, c, KEY));
    const after = await told(c.commitTransaction());
    return [conflict, await told(b.commitTransaction()), taken, after];
  },
  'a claim that was committed after the snapshot': async (stand, db) => {
    const [a, b] = [begun(stand), begun(stand)];
    await db.collection('others').findOne({}, { session: b });
    await ledger.claim(db, a, KEY);
    await a.commitTransaction();
    return [await told(ledger.claim(db, b, KEY))];
  },
  'a fence waits for an open claim': async (stand, db) => {
    const a = begun(stand);
    await ledger.claim(db, a, KEY);
    const fencing = told(ledger.fence(db, KEY, WITHIN_MILLIS).then(({ state }) => state));
    await stand.fenceWaits();
    await a.commitTransaction();
    return [await fencing];
  },
  'a fence beats a claim that is given up, and stays': async (stand, db) => {
    const [a, b] = [begun(stand), begun(stand)];
    await ledger.claim(db, a, KEY);
    const fencing = told(ledger.fence(db, KEY, WITHIN_MILLIS).then(({ state }) => state));
    await stand.fenceWaits();
    await a.abortTransaction();
    return [await fencing, await told(ledger.claim(db, b, KEY))];
  },
  'an undo takes effect once': async (stand, db) => {
    const [a, b, c] = [begun(stand), begun(stand), begun(stand)];
    await ledger.claim(db, a, KEY);
    await a.commitTransaction();
    const first = await ledger.recordUndone(db, b, KEY);
    const meanwhile = await told(ledger.recordUndone(db, c, KEY));
    await b.commitTransaction();
    const d = begun(stand);
    return [
      first,
      meanwhile,
      await ledger.recordUndone(db, d, KEY),
      await told(d.commitTransaction()),
    ];
  },
  'a snapshot is taken by the first operation, and writes on it conflict': async (stand, db) => {
    const orders = db.collection<{ _id: string; count: number }>('orders');
    await orders.insertOne({ _id: 'a', count: 1 });
    const a = begun(stand);
    const before = await orders.findOne({ _id: 'a' }, { session: a });
    await orders.updateOne({ _id: 'a' }, { $inc: { count: 1 } });
    const still = await orders.findOne({ _id: 'a' }, { session: a });
    const conflict = await told(
      orders.updateOne({ _id: 'a' }, { $inc: { count: 1 } }, { session: a }),
    );
    return [before, still, conflict];
  },
  'a session that was killed has no transaction any more': async (stand, db) => {
    const [a, b] = [begun(stand), begun(stand)];
    await ledger.claim(db, a, KEY);
    const killed = await killSession(stand.client, a.id?.id);
    const late = await told(db.collection('orders').findOne({ _id: 'x' } as never, { session: a }));
    const commit = await told(a.commitTransaction());
    await ledger.claim(db, b, KEY);
    await b.commitTransaction();
    return [killed, late, commit];
  },
  'a duplicate key ends the transaction that it happens in': async (stand, db) => {
    const orders = db.collection<{ _id: string; note: string }>('orders');
    await orders.insertOne({ _id: 'a', note: 'first' });
    const a = begun(stand);
    await orders.insertOne({ _id: 'b', note: 'in it' }, { session: a });
    const duplicate = await told(orders.insertOne({ _id: 'a', note: 'second' }, { session: a }));
    return [duplicate, await told(a.commitTransaction())];
  },
  'a write by itself waits for a transaction': async (stand, db) => {
    const orders = db.collection<{ _id: string; count: number }>('orders');
    await orders.insertOne({ _id: 'a', count: 1 });
    const a = begun(stand);
    await orders.updateOne({ _id: 'a' }, { $inc: { count: 10 } }, { session: a });
    const alone = told(
      orders.updateOne({ _id: 'a' }, { $inc: { count: 1 } }).then((answer) => answer.matchedCount),
    );
    const seen = await orders.findOne({ _id: 'a' });
    await a.commitTransaction();
    return [seen, await alone];
  },
  'images by version, and a tombstone': async (_stand, db) => {
    const write = (version: number, image?: object) =>
      told(writeImage(db, WITHIN_MILLIS, imageOf(version, image)));
    return [
      await write(2, { note: 'two' }),
      await write(1, { note: 'one' }),
      await write(2, { note: 'again' }),
      await write(3),
      await write(2, { note: 'late' }),
      await write(4, { note: 'back', gone: undefined }),
    ];
  },
  'what a validator refuses, and a tombstone that it lets pass': async (_, db) => {
    const refused = await told(writeImage(db, WITHIN_MILLIS, imageOf(1, { refused: true })));
    return [refused, await told(writeImage(db, WITHIN_MILLIS, imageOf(2)))];
  },
  'a document of somebody else': async (_, db) => {
    await db.collection<{ _id: string }>('documents').insertOne({ _id: 'a' });
    const found = await db.collection('documents').findOne(NOT_OURS as never);
    return [found, await told(writeImage(db, WITHIN_MILLIS, imageOf(1, { note: 'ours' })))];
  },
};

async function play(stand: MongoStand, trace: Trace): Promise<unknown> {
  await stand.reset();
  const answers = await trace(stand, stand.db);
  const left: Record<string, unknown> = {};
  for (const name of ['twinwrite_ledger', 'documents', 'orders']) {
    const options = { promoteLongs: false, projection: { at: 0 } };
    const found = await stand.db.collection(name).find({}, options).toArray();
    left[name] = found
      .map(({ at: _at, ...document }) => document)
      .sort((a, b) => (String(a._id) < String(b._id) ? -1 : 1));
  }
  await stand.close();
  const asText = (_: string, value: unknown) => (Long.isLong(value) ? value.toString() : value);
  return JSON.parse(JSON.stringify({ answers, left }, asText)) as unknown;
}

describe('the model of MongoDB does what the server does', () => {
  let world: World;

  beforeAll(async () => {
    world = await openWorld();
    const db = world.mongo.db();
    await db.createCollection('documents', { validator: { refused: { $ne: true } } });
    for (const name of ['orders', 'others']) await db.createCollection(name);
  });

  afterAll(async () => {
    await world.close();
  });

  test.each(Object.entries(TRACES))('%s', async (_, trace) => {
    const real = await play(new RealMongoStand(world.mongo), trace);
    expect(await play(new ModelMongoStand(), trace)).toEqual(real);
  });
});
