/**
 * Goal: nothing runs in a store between its restore and the moment when somebody notices (clause
 * 13, F12), whatever kind of restore it was and whoever runs: a process that knew the store before,
 * or one that is new. Method: a small change of the store's own row stands for older rows, a copy
 * put in the database's place for a restore or a promotion; single transactions and single checks,
 * without a worker whose own ticks could be what notices.
 */
import { randomUUID } from 'node:crypto';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { MongoClient } from 'mongodb';
import { Pool } from 'pg';
import { EpochCheck } from '../../src/activities/epoch-check';
import { type StoreDocument, storeOf } from '../../src/activities/mongo/epoch';
import { LEDGER_COLLECTION } from '../../src/activities/mongo/ledger';
import { inTransaction as inMongo } from '../../src/activities/mongo/transaction';
import { drain } from '../../src/activities/postgres/epoch';
import { inTransaction } from '../../src/activities/postgres/transaction';
import { ActivitySteps } from '../contract/activity-steps';
import { eventually } from '../support/eventually';
import { openWorld, type World } from '../support/world';
import { preparePoints, updates } from './points';
import { backUpPostgres } from './restore';

/** One process's way to both stores. */
class Process {
  readonly postgres: Pool;
  readonly mongo: MongoClient;
  readonly check: EpochCheck;

  constructor({ postgresUrl, mongoUri, name }: World) {
    this.postgres = new Pool({ connectionString: postgresUrl, application_name: name, max: 4 });
    this.postgres.on('error', () => undefined);
    this.mongo = new MongoClient(mongoUri, { appName: name });
    this.check = new EpochCheck(this);
  }

  /** A transaction in PostgreSQL, as every leg has one. */
  async runPostgres(): Promise<unknown> {
    return await inTransaction(this.postgres, { timeoutMillis: 2_000 }, async () => 'ran');
  }

  /** A transaction in MongoDB, as a leg in the transaction form has one. */
  async runMongo(): Promise<unknown> {
    const key = { definition: 'd', token: randomUUID() };
    return await inMongo(this.mongo, { timeoutMillis: 2_000, key }, async (session) => {
      const effects = this.mongo.db().collection<{ _id: string }>('effects');
      await effects.insertOne({ _id: key.token }, { session });
      return 'ran';
    });
  }

  async close(): Promise<void> {
    await this.postgres.end();
    await this.mongo.close();
  }
}

const UNVERIFIED = { name: 'StoreUnverifiedError' };
const STOPPED = { code: 'StoresStopped' };

describe('a store that went back in time', () => {
  let world: World;
  let old: Process;
  const processes: Process[] = [];

  const open = (overrides: Partial<World> = {}) => {
    const opened = new Process({ ...world, ...overrides });
    processes.push(opened);
    return opened;
  };
  const storeRow = async () => {
    const { rows } = await world.postgres.query(
      'select epoch, tick::int, mongo_tick::int, stopped from twinwrite.store',
    );
    return rows[0] as { epoch: number; tick: number; mongo_tick: number; stopped: string | null };
  };
  const stopIn = (text: string | null | undefined): unknown => JSON.parse(text ?? 'null');
  const storeDocument = async () => await storeOf(world.mongo.db()).findOne({ _id: 1 });
  const setPostgres = async (sql: string) =>
    await world.postgres.query(`update twinwrite.store set ${sql}`);
  const setMongo = async (change: Partial<StoreDocument>) =>
    await storeOf(world.mongo.db()).updateOne({ _id: 1 }, { $set: change });

  beforeAll(async () => {
    world = await openWorld();
    await preparePoints(world);
    await world.mongo.db().createCollection('effects');
  });

  afterAll(async () => {
    await world.close();
  });

  beforeEach(async () => {
    await setPostgres(
      'epoch = 0, tick = 100, mongo_tick = 200, stopped = null, incarnation = null',
    );
    const { rows } = await world.postgres.query<{ pair: string }>(
      'select pair from twinwrite.store',
    );
    await storeOf(world.mongo.db()).replaceOne(
      { _id: 1 },
      { epoch: 0, tick: 200, postgresTick: 100, migration: 2, pair: rows[0]?.pair ?? '' },
    );
    old = open();
    await old.check.run();
  });

  afterEach(async () => {
    await Promise.all(processes.splice(0).map((one) => one.close()));
  });

  test('lets legs in while the stores agree, and each remembers the other a tick later', async () => {
    await expect(old.runPostgres()).resolves.toBe('ran');
    await expect(old.runMongo()).resolves.toBe('ran');
    expect(await storeRow()).toMatchObject({ tick: 101, mongo_tick: 201 });
    expect(await storeDocument()).toMatchObject({ tick: 201, postgresTick: 101 });
  });

  test('nothing runs in a process that has not compared the stores yet', async () => {
    await expect(open().runPostgres()).rejects.toMatchObject(UNVERIFIED);
  });

  test('PostgreSQL with older rows in the same tables refuses who knew it, at once', async () => {
    await setPostgres('tick = 70');
    await expect(old.runPostgres()).rejects.toMatchObject(UNVERIFIED);
    await expect(old.check.around(() => old.runPostgres())).rejects.toMatchObject({
      ...STOPPED,
      fields: { store: 'PostgreSQL', ticks: 31 },
    });
  });

  test('PostgreSQL that is another than before refuses everybody, until it was compared', async () => {
    const backup = await backUpPostgres(world);
    await old.check.run();
    await backup.restore();
    const fresh = open();
    await expect(old.runPostgres()).rejects.toMatchObject(UNVERIFIED);
    await expect(fresh.check.around(() => fresh.runPostgres())).rejects.toMatchObject(STOPPED);
    await expect(old.runPostgres()).rejects.toMatchObject(STOPPED);
    await expect(old.runMongo()).rejects.toMatchObject(STOPPED);
    await backup.drop();
  });

  test('MongoDB with older documents refuses who knew it, and its transaction leaves nothing', async () => {
    await setMongo({ tick: 170 });
    const before = await world.mongo.db().collection('effects').countDocuments();
    await expect(old.runMongo()).rejects.toMatchObject(UNVERIFIED);
    await expect(old.check.around(() => old.runMongo())).rejects.toMatchObject({
      ...STOPPED,
      fields: { store: 'MongoDB', ticks: 31 },
    });
    expect(await world.mongo.db().collection('effects').countDocuments()).toBe(before);
    await expect(old.runPostgres()).rejects.toMatchObject(STOPPED);
  });

  test('nobody is fenced in a MongoDB with older documents', async () => {
    const [token, reason] = [randomUUID(), { code: 'Cancelled', message: 'by the test' } as const];
    const input = { id: token, account: 'a', points: 1 };
    const all = new ActivitySteps(old.postgres, old.mongo, updates);
    const steps = all.attempt({ definition: 'countPoints', token, input });
    await steps.applyPostgres();
    const answer = await steps.fencePostgres(reason);
    if (answer.at !== 'undoing') throw new Error(`it is ${answer.at}`);
    await setMongo({ tick: 170 });
    await expect(steps.fenceMongo(answer.claim)).rejects.toMatchObject({ type: 'StoresStopped' });
    const ledger = world.mongo.db().collection<{ _id: string }>(LEDGER_COLLECTION);
    expect(await ledger.countDocuments()).toBe(0);
  });

  test('stops both stores, and says the same from either', async () => {
    await setPostgres('tick = 70');
    await expect(open().check.run()).rejects.toMatchObject(STOPPED);
    const stop = stopIn((await storeRow()).stopped);
    expect(stop).toMatchObject({ store: 'PostgreSQL', ticks: 31, epoch: 0 });
    expect(stopIn((await storeDocument())?.stopped)).toEqual(stop);
  });

  test('does not catch up by ticking while MongoDB cannot be asked', async () => {
    await setPostgres('tick = 100');
    const { check } = open({ mongoUri: 'mongodb://127.0.0.1:5/?serverSelectionTimeoutMS=50' });
    for (let times = 0; times < 3; times += 1) await expect(check.run()).rejects.toThrow();
    expect(await storeRow()).toMatchObject({ tick: 100 });
    await expect(old.check.run()).rejects.toMatchObject(STOPPED);
  });

  test.each([
    ['PostgreSQL', async () => await setPostgres('stopped = null, tick = 90')],
    [
      'MongoDB',
      async () =>
        await storeOf(world.mongo.db()).updateOne({ _id: 1 }, { $unset: { stopped: '' } }),
    ],
  ])('stays stopped when %s is restored once more', async (_store, restore) => {
    await setPostgres('tick = 70');
    await expect(old.check.run()).rejects.toMatchObject(STOPPED);
    const stop = stopIn((await storeRow()).stopped);
    await restore();
    await expect(open().check.run()).rejects.toMatchObject({
      ...STOPPED,
      fields: { store: 'PostgreSQL' },
    });
    expect(stopIn((await storeRow()).stopped)).toEqual(stop);
    expect(stopIn((await storeDocument())?.stopped)).toEqual(stop);
  });

  test('is not stopped again by who was slow, once the epoch is raised', async () => {
    await setPostgres('tick = 70');
    await expect(old.check.run()).rejects.toMatchObject(STOPPED);
    // Half way through: MongoDB is open, PostgreSQL not yet.
    await setPostgres('tick = 102, epoch = 1, mongo_tick = 202');
    await storeOf(world.mongo.db()).updateOne(
      { _id: 1 },
      { $unset: { stopped: '' }, $set: { epoch: 1, tick: 202, postgresTick: 102 } },
    );
    await expect(open().check.run()).rejects.toMatchObject(STOPPED);
    expect((await storeDocument())?.stopped).toBeUndefined();
    await setPostgres('stopped = null');
    await expect(old.check.around(() => old.runPostgres())).resolves.toBe('ran');
    await expect(old.runMongo()).resolves.toBe('ran');
  });

  test('raising the epoch waits for those who were let in before the stop', async () => {
    let leave = () => {};
    const left = new Promise<void>((resolve) => {
      leave = resolve;
    });
    let hasEntered = false;
    const running = inTransaction(old.postgres, { timeoutMillis: 20_000 }, async () => {
      hasEntered = true;
      await left;
    });
    await eventually(() => hasEntered, 'it is let in');
    let isDrained = false;
    const draining = drain(open().postgres).then(() => (isDrained = true));
    await eventually(async () => {
      const waiting = await world.postgres.query(
        `select from pg_locks where relation = 'twinwrite.store'::regclass and not granted`,
      );
      return waiting.rowCount === 1;
    }, 'it waits for the lock');
    expect(isDrained).toBe(false);
    leave();
    await Promise.all([running, draining]);
  });

  test('a promotion whose ticks agree raises the epoch: no version is ever given out twice', async () => {
    await world.postgres.query(`select twinwrite.bump('{people/a}')`);
    const backup = await backUpPostgres(world);
    await world.postgres.query(`select twinwrite.bump('{people/a}')`);
    const version = async () => {
      const { rows } = await world.postgres.query<{ version: string }>(
        `select version from twinwrite.entity where key = 'people/a'`,
      );
      return BigInt(rows[0]?.version ?? 0);
    };
    const lost = await version();
    await backup.restore();
    await expect(old.check.around(() => old.runPostgres())).resolves.toBe('ran');
    expect(await storeRow()).toMatchObject({ epoch: 1 });
    expect(await storeDocument()).toMatchObject({ epoch: 1 });
    await world.postgres.query(`select twinwrite.bump('{people/a}')`);
    expect(await version()).toBeGreaterThan(lost);
    const { rows } = await world.postgres.query('select epoch, reason from twinwrite.epoch');
    expect(rows).toEqual([{ epoch: 1, reason: 'PostgreSQL was restarted, promoted or restored' }]);
    await backup.drop();
  });

  test('another MongoDB database is not taken for one that went back, and stops nobody', async () => {
    await setMongo({ pair: 'of another', tick: 0 });
    await expect(open().check.run()).rejects.toMatchObject({ code: 'UnsuitableStore' });
    expect(await storeRow()).toMatchObject({ stopped: null });
  });

  test('a MongoDB that lost everything under a process that knew it went back', async () => {
    await storeOf(world.mongo.db()).deleteMany({});
    await expect(old.runMongo()).rejects.toMatchObject(UNVERIFIED);
    await expect(old.check.run()).rejects.toMatchObject({
      ...STOPPED,
      fields: { store: 'MongoDB' },
    });
    await expect(old.runPostgres()).rejects.toMatchObject(STOPPED);
  });
});
