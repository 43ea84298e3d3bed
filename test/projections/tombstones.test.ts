/**
 * Goal: a delete reaches MongoDB past the application's validators and unique indexes (F14); an
 * index that stands in its way is told with the command that mends it. Method: real collections
 * with each kind of index; the command is taken from the message and run.
 */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import type { CreateIndexesOptions, IndexSpecification } from 'mongodb';
import { findUnsuitableIndex } from '../../src/activities/mongo/projection-indexes';
import { defineProjection } from '../../src/domain/projection';
import { openWorld, type World } from '../support/world';
import { openPeople, type People, runCommands } from './people';

const LIVE = { '_tw.live': true };

describe('tombstones', () => {
  let world: World;

  beforeAll(async () => {
    world = await openWorld();
  });

  afterAll(async () => {
    await world.close();
  });

  async function bothDeleted(people: People): Promise<void> {
    await people.put({ a: { email: 'x' }, b: { email: 'y' } });
    await people.drive('a', 'b');
    await people.put({ a: undefined, b: undefined });
    await people.drive('a', 'b');
  }

  test.each<[string, CreateIndexesOptions]>([
    ['partial on the live marker', { partialFilterExpression: LIVE }],
    ['sparse', { sparse: true }],
    [
      'partial on a field that they lack',
      { partialFilterExpression: { email: { $type: 'string' } } },
    ],
  ])('F14: two documents are deleted under a unique index that is %s', async (_, index) => {
    const people = await openPeople(world, { unique: { email: 1 }, index, isBare: true });
    await bothDeleted(people);
    expect(await people.read()).toEqual({});
    const left = await people.collection.find().sort({ _id: 1 }).toArray();
    expect(left).toEqual([
      { _id: 'a', _tw: { version: 2, live: false } },
      { _id: 'b', _tw: { version: 2, live: false } },
    ]);
  });

  test('F14: a validator that requires what a tombstone lacks does not keep it out', async () => {
    const people = await openPeople(world, { validator: { $jsonSchema: { required: ['email'] } } });
    await bothDeleted(people);
    expect(await people.collection.countDocuments(people.projection.live)).toBe(0);
    await people.put({ a: { email: 'again' } });
    await people.drive('a');
    expect(await people.read()).toEqual({ a: { email: 'again' } });
  });

  test('F14: under an index that has tombstones in it the second one waits, until the command was run', async () => {
    const people = await openPeople(world, {
      unique: { email: 1 },
      index: { collation: { locale: 'en', strength: 2 } },
      isBare: true,
    });
    await expect(bothDeleted(people)).rejects.toMatchObject({
      code: 'UnsuitableStore',
      message: expect.stringContaining('has tombstones in it'),
    });
    const error = await findUnsuitableIndex(world.mongo.db(), people.projection);
    await runCommands(people, error?.message ?? '');
    expect(await findUnsuitableIndex(world.mongo.db(), people.projection)).toBeUndefined();
    const after = await people.collection.indexes();
    expect(after.at(-1)).toMatchObject({ unique: true, collation: { strength: 2 } });
    await people.drive('b');
    expect(await people.read()).toEqual({});
  });

  test('F14: under such an index a cycle is told the same, and left as it was', async () => {
    const people = await openPeople(world, { unique: { email: 1 }, isBare: true });
    await people.put({ a: { email: 'x' }, b: { email: 'y' } });
    await people.drive('a', 'b');
    await people.put({ a: { email: 'y' }, b: { email: 'x' } });
    await expect(people.drive('a')).rejects.toMatchObject({ code: 'UnsuitableStore' });
    expect(await people.read()).toEqual({ a: { email: 'x' }, b: { email: 'y' } });
  });

  const projections = {
    whole: defineProjection({ collection: 'looked_at', image: async () => [] }),
    owning: defineProjection({ collection: 'looked_at', image: async () => [], owns: ['email'] }),
  };

  test.each<[keyof typeof projections, IndexSpecification, CreateIndexesOptions, boolean]>([
    ['whole', { email: 1 }, {}, false],
    ['whole', { email: 1, '_tw.live': 1 }, {}, false],
    ['whole', { email: 1 }, { partialFilterExpression: { '_tw.live': false } }, false],
    ['whole', { email: 1 }, { partialFilterExpression: { email: null } }, false],
    ['whole', { email: 1 }, { partialFilterExpression: LIVE }, true],
    ['whole', { email: 1 }, { partialFilterExpression: { '_tw.live': { $eq: true } } }, true],
    ['whole', { email: 1 }, { partialFilterExpression: { $and: [{ n: { $gt: 1 } }, LIVE] } }, true],
    ['whole', { email: 1 }, { partialFilterExpression: { $or: [{ n: 1 }, LIVE] } }, true],
    ['whole', { email: 1 }, { partialFilterExpression: { $or: [{ n: null }, LIVE] } }, false],
    ['whole', { email: 1 }, { partialFilterExpression: { email: { $exists: true } } }, true],
    ['whole', { email: 1 }, { partialFilterExpression: { status: 'open' } }, true],
    ['whole', { email: 1, _id: 1 }, {}, true],
    ['whole', { email: 1, tenant: 1 }, { sparse: true }, true],
    ['owning', { email: 1 }, {}, false],
    ['owning', { email: 1, tenant: 1 }, { sparse: true }, false],
    ['owning', { email: 1 }, { partialFilterExpression: { status: 'open' } }, false],
    ['owning', { email: 1 }, { partialFilterExpression: { email: { $gt: '' } } }, true],
    ['owning', { tenant: 1 }, {}, true],
  ])(
    'F14: %s documents under a unique index %j with %j: suitable is %s',
    async (kind, key, options, isSuitable) => {
      const db = world.mongo.db();
      await db.collection('looked_at').drop();
      await db.collection('looked_at').createIndex(key, { unique: true, ...options });
      const found = await findUnsuitableIndex(db, projections[kind]);
      expect(found === undefined).toBe(isSuitable);
      // And so say two tombstones themselves.
      const kept = kind === 'owning' ? { tenant: 't', status: 'open' } : {};
      const tombstones = ['a', 'b'].map((id) => ({
        _id: id as never,
        ...kept,
        _tw: { live: false },
      }));
      const areLetIn = await db
        .collection('looked_at')
        .insertMany(tombstones)
        .then(
          () => true,
          () => false,
        );
      // What an index on the application's own fields does is the application's to know.
      const isTheirs = kind === 'owning' && !('email' in (key as object));
      expect(areLetIn).toBe(isSuitable && !isTheirs);
    },
  );
});
