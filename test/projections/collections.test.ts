/**
 * Goal: a collection belongs to one projection or to transaction legs (F41), and a worker says so
 * before anything is written over. Method: the watched definitions called as the legs call them;
 * then a real worker, whose log tells why a leg waits.
 */
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import type { ClientSession, Db } from 'mongodb';
import pino from 'pino';
import { watchCollections } from '../../src/activities/collection-owners';
import { defineConfig } from '../../src/define-config';
import { type AnyCrossStoreUpdate, defineCrossStoreUpdate } from '../../src/domain/definition';
import { defineProjection, type Projection } from '../../src/domain/projection';
import { eventually } from '../support/eventually';
import { prepareLedger, projectionEntry, transactionEntry } from '../support/ledger-definitions';
import { openWorld, type World } from '../support/world';
import { openPeople, runCommands } from './people';

const template = transactionEntry();

function projects(name: string, projection: Projection): AnyCrossStoreUpdate {
  return defineCrossStoreUpdate({
    name,
    input: template.input,
    token: () => 'x',
    postgres: { apply: async () => null },
    mongo: { project: () => [projection.document('1')] },
  });
}

function transacts(name: string, use: (db: Db) => unknown): AnyCrossStoreUpdate {
  return defineCrossStoreUpdate({
    name,
    input: template.input,
    token: () => 'x',
    postgres: { apply: async () => null, undo: async () => {} },
    mongo: {
      transaction: {
        apply: async ({ db }) => void (await use(db)),
        undo: async ({ db }) => void (await use(db)),
      },
    },
  });
}

const orders = () => defineProjection({ collection: 'orders', image: async () => [] });

describe('collections and their owners', () => {
  let world: World;

  beforeAll(async () => {
    world = await openWorld();
    await prepareLedger(world);
  });

  afterAll(async () => {
    await world.close();
  });

  const runs = async ({ mongo }: AnyCrossStoreUpdate, leg: 'apply' | 'undo' = 'apply') => {
    if (mongo.project !== undefined) return mongo.project({});
    const session = {} as ClientSession;
    const context = { db: world.mongo.db(), session, input: {}, result: null };
    return await mongo.transaction[leg]?.({ ...context, refuse: (() => {}) as never });
  };
  const InvalidDefinition = (definition: string) => ({
    code: 'InvalidDefinition',
    fields: { definition, problem: expect.stringContaining('"orders"') },
  });

  test('F41: one projection may be shared by many definitions, and transactions share their own', async () => {
    const shared = orders();
    const watched = watchCollections([
      projects('a', shared),
      projects('b', shared),
      transacts('c', (db) => db.collection('audit')),
      transacts('d', (db) => db.collection('audit')),
    ]);
    for (const update of watched) await runs(update);
  });

  test('F41: the second projection of a collection is a mistake of its definition', async () => {
    const [first, second] = watchCollections([projects('a', orders()), projects('b', orders())]);
    if (first === undefined || second === undefined) throw new Error('two were given');
    await runs(first);
    await expect(runs(second)).rejects.toMatchObject(InvalidDefinition('b'));
    await runs(first);
  });

  test.each(['apply', 'undo'] as const)(
    'F41: a transaction leg, in its %s, is kept from a projected collection, whoever comes second',
    async (leg) => {
      const both = () =>
        watchCollections([
          projects('p', orders()),
          transacts('t', (db) => db.collection('orders')),
        ]);
      const [p, t] = both();
      const [laterP, earlierT] = both();
      if (!p || !t || !laterP || !earlierT) throw new Error('two were given');
      await runs(p);
      await expect(runs(t, leg)).rejects.toMatchObject(InvalidDefinition('t'));
      await runs(earlierT, leg);
      await expect(runs(laterP)).rejects.toMatchObject(InvalidDefinition('p'));
    },
  );

  test('F41: a listed projection has its collection from the beginning', async () => {
    const [t] = watchCollections([transacts('t', (db) => db.collection('orders'))], [orders()]);
    if (t === undefined) throw new Error('one was given');
    await expect(runs(t)).rejects.toMatchObject(InvalidDefinition('t'));
  });

  test('the database of a transaction leg is the same in all else', async () => {
    const seen: unknown[] = [];
    const [t] = watchCollections([
      transacts('t', async (db) => {
        seen.push(db.databaseName, db.client === world.mongo, await db.command({ ping: 1 }));
        await db.collection<{ _id: string }>('audit').insertOne({ _id: 'one' });
        seen.push(await db.collection('audit').countDocuments({}, { hint: '_id_' }));
        seen.push((await db.listCollections({ name: 'audit' }).toArray()).length);
        seen.push(await db.aggregate([{ $documents: [{ a: 1 }] }]).toArray());
        seen.push(
          db.collection('audit', { readConcern: { level: 'majority' } }).readConcern?.level,
        );
      }),
    ]);
    if (t === undefined) throw new Error('one was given');
    await runs(t);
    expect(seen).toEqual([
      world.name,
      true,
      expect.objectContaining({ ok: 1 }),
      1,
      1,
      [{ a: 1 }],
      'majority',
    ]);
  });

  test.each<[unknown, string]>([
    [[orders(), orders()], 'Two of the projections have the collection "orders"'],
    [[orders(), {}], 'projections[1] is no projection'],
    ['orders', '`projections` is a list'],
  ])(
    'projections that cannot be right are refused where they are given',
    (projections, problem) => {
      const updates = [template];
      const refused = { code: 'InvalidConfiguration', message: expect.stringContaining(problem) };
      const given = projections as readonly Projection[];
      expect(() => defineConfig({ updates, projections: given })).toThrow(
        expect.objectContaining(refused),
      );
      expect(() => watchCollections(updates, given)).toThrow(expect.objectContaining(refused));
    },
  );

  test('a configuration keeps the projections that it was given', () => {
    const projections = [orders()];
    const config = defineConfig({ updates: [template], projections });
    expect(config.projections).toEqual(projections);
    expect(Object.isFrozen(config.projections)).toBe(true);
  });

  test('the filter of the live documents goes with a filter of the application', async () => {
    const { live } = orders();
    const shop = world.mongo.db().collection<{ _id: string; sku: string }>('orders');
    const stamped = (version: number, isLive: boolean) => ({ _tw: { version, live: isLive } });
    await shop.insertMany([
      { _id: 'here', sku: 'kettle', ...stamped(1, true) },
      { _id: 'gone', sku: 'kettle', ...stamped(2, false) },
      { _id: 'other', sku: 'mug', ...stamped(1, true) },
    ]);
    expect(await shop.distinct('_id', { ...live, sku: 'kettle' })).toEqual(['here']);
    expect(await shop.countDocuments(live)).toBe(2);
    expect(Object.isFrozen(live)).toBe(true);
  });

  test('F41: in a worker the leg that comes second waits, and its log says why', async () => {
    const lines: string[] = [];
    const logger = pino({}, { write: (line: string) => void lines.push(line) });
    const updates = [projectionEntry(), transactionEntry()] as const;
    const worker = await world.startWorker({ updates, logger });
    try {
      const entry = { id: randomUUID(), account: 'a', points: 1 };
      expect(await world.twinwrite.execute(updates[0], entry)).toMatchObject({ status: 'applied' });
      const late = { ...entry, id: randomUUID() };
      const handle = await world.twinwrite.submit(updates[1], late);
      await eventually(
        () => lines.find((line) => line.includes('InvalidDefinition') && line.includes(late.id)),
        'the leg failed as a mistake in its definition',
      );
      expect(await world.mongo.db().collection('entries').countDocuments()).toBe(1);
      await world.temporal.workflow.getHandle(handle.workflowId).terminate('by the test');
    } finally {
      await worker.stop();
    }
  });

  test('F14: a worker that is told of the projection does not start, and when it is mended it does', async () => {
    const people = await openPeople(world, { unique: { email: 1 }, isBare: true });
    const options = { updates: [template], projections: [people.projection] };
    const refused = await world.startWorker(options).catch((error: unknown) => error);
    expect(refused).toMatchObject({ code: 'UnsuitableStore', fields: { store: 'MongoDB' } });
    await runCommands(people, (refused as Error).message);
    const worker = await world.startWorker(options);
    await worker.stop();
  });
});
