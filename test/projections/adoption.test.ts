/**
 * Goal: a document that was there before Twinwrite is never overwritten by an update, and adopting
 * it loses nothing, whoever is at work at the same time. Method: adoption and Mongo legs run against
 * each other on real stores, without a workflow.
 */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { adoptStrangers, findStrangers, inspectStrangers } from '../../src/activities/adoption';
import type { ProjectedDocument } from '../../src/activities/mongo/projection';
import { openWorld, type World } from '../support/world';
import { openPeople, type People, stamp } from './people';

describe('a document that was there before', () => {
  let world: World;

  beforeAll(async () => {
    world = await openWorld();
  });

  afterAll(async () => {
    await world.close();
  });

  const strangersOf = async ({ projection }: People) =>
    await findStrangers(world.mongo.db(), projection).toArray();
  const adopt = async (people: People, documents?: readonly ProjectedDocument[]) => {
    const stores = { postgres: world.postgres, db: world.mongo.db() };
    const found = documents ?? (await strangersOf(people));
    return await adoptStrangers(stores, people.projection, found);
  };
  const inspect = async (people: People) => {
    const stores = { postgres: world.postgres, db: world.mongo.db() };
    return await inspectStrangers(stores, people.projection, await strangersOf(people));
  };

  test('an update of it waits and says what to do, and goes on once it is adopted', async () => {
    const people = await openPeople(world);
    await people.collection.insertOne({ _id: 'a', name: 'theirs' });
    await people.put({ a: { name: 'ours' } });
    const { collection } = people.projection;
    const waits = {
      code: 'NotAdopted',
      message: `${collection}/a exists in MongoDB and was not written by Twinwrite. It is left as it is; run "twinwrite adopt ${collection}", or remove it. The update waits meanwhile.`,
    };
    await expect(people.drive('a')).rejects.toMatchObject(waits);
    await expect(people.drive('a')).rejects.toMatchObject(waits);
    expect(await people.collection.findOne({ _id: 'a' })).toEqual({ _id: 'a', name: 'theirs' });
    expect(await adopt(people)).toMatchObject([{ id: 'a', end: 'adopted', changes: ['name'] }]);
    await people.drive('a');
    expect(await people.read()).toEqual({ a: { name: 'ours' } });
    expect(await people.collection.findOne({ _id: 'a' })).toMatchObject({ _tw: { version: 2 } });
  });

  test('so does a delete of it, which nobody but an operator can tell from a document of somebody else', async () => {
    const people = await openPeople(world);
    await people.collection.insertOne({ _id: 'a', name: 'theirs' });
    await people.put({ a: undefined });
    await expect(people.drive('a')).rejects.toMatchObject({ code: 'NotAdopted' });
    expect(await adopt(people)).toEqual([{ id: 'a', end: 'unknown' }]);
    await people.collection.deleteOne({ _id: 'a' });
    await people.drive('a');
    expect(await people.collection.findOne({ _id: 'a' })).toMatchObject({ _tw: { live: false } });
  });

  test('one that an update holds is adopted at the version of that update, which may itself wait for it', async () => {
    const people = await openPeople(world);
    await people.collection.insertOne({ _id: 'a', name: 'theirs' });
    await people.put({ a: { name: 'ours' } });
    await world.postgres.query('update twinwrite.entity set holder = 7 where key = $1', [
      `${people.projection.collection}/a`,
    ]);
    expect(await adopt(people)).toMatchObject([{ id: 'a', end: 'adopted' }]);
    expect(await people.versionOf('a')).toBe(1);
    expect(await people.collection.findOne({ _id: 'a' })).toMatchObject({
      name: 'ours',
      _tw: { version: 1 },
    });
  });

  test('looking at it changes nothing, in either store', async () => {
    const people = await openPeople(world);
    await people.collection.insertOne({ _id: 'a', name: 'theirs' });
    await people.put({ a: { name: 'ours' } });
    expect(await inspect(people)).toEqual([
      { id: 'a', end: 'adoptable', changes: ['name'], removes: [] },
    ]);
    expect(await people.versionOf('a')).toBe(1);
    expect(await people.collection.findOne({ _id: 'a' })).toEqual({ _id: 'a', name: 'theirs' });
  });

  test.each<[string, object, object, { changes: string[]; removes: string[] }]>([
    [
      'the order of keys',
      { at: { x: 1, y: 2 } },
      { at: { y: 2, x: 1 } },
      { changes: [], removes: [] },
    ],
    ['a whole double', { n: 5 }, { n: 5.0 }, { changes: [], removes: [] }],
    ['the order of a list', { tags: [1, 2] }, { tags: [2, 1] }, { changes: ['tags'], removes: [] }],
    ['null for a missing field', { a: null }, {}, { changes: [], removes: ['a'] }],
    ['text for a number', { n: '5' }, { n: 5 }, { changes: ['n'], removes: [] }],
    ['a field less', {}, { b: 1 }, { changes: ['b'], removes: [] }],
  ])('%s is told as it is', async (_, document, image, differences) => {
    const people = await openPeople(world);
    await people.collection.insertOne({ ...document, _id: 'a' });
    await people.put({ a: { ...image } });
    expect(await inspect(people)).toEqual([{ id: 'a', end: 'adoptable', ...differences }]);
  });

  test('one with a field of its own that is named like ours is not ours, and is adopted', async () => {
    const people = await openPeople(world);
    await people.collection.insertOne({ _id: 'a', _tw: { version: 'seven' } as never });
    await people.put({ a: { name: 'ours' } });
    await expect(people.drive('a')).rejects.toMatchObject({ code: 'NotAdopted' });
    expect(await adopt(people)).toMatchObject([{ end: 'adopted' }]);
    expect(await people.read()).toEqual({ a: { name: 'ours' } });
  });

  test('one whose version was narrowed by a dump and its import is still ours', async () => {
    const people = await openPeople(world);
    await people.put({ a: { name: 'ours' } });
    await people.put({ a: { name: 'newer' } });
    await people.collection.insertOne({ _id: 'a', name: 'ours', _tw: { version: 1, live: true } });
    expect(await strangersOf(people)).toEqual([]);
    await people.drive('a');
    expect(await people.read()).toEqual({ a: { name: 'newer' } });
    await people.collection.updateOne({ _id: 'a' }, { $set: { '_tw.version': 2.0 } });
    await people.drive('a');
    expect(await people.read()).toEqual({ a: { name: 'newer' } });
  });

  test('adopted by two at once, or removed meanwhile, it is as new as Postgres afterwards', async () => {
    const people = await openPeople(world);
    const ids = Array.from({ length: 20 }, (_, index) => `p${index}`);
    await people.put(Object.fromEntries(ids.map((id) => [id, { name: id }])));
    await people.collection.insertMany(ids.map((_id) => ({ _id, name: 'old' })));
    const found = await strangersOf(people);
    await people.collection.deleteOne({ _id: 'p0' });
    const [one, other] = await Promise.all([adopt(people, found), adopt(people, found)]);
    const ends = [...one, ...other].map(({ end }) => end);
    expect(ends.filter((end) => end === 'adopted').length).toBe(19);
    expect(ends.filter((end) => end === 'overtaken').length).toBe(21);
    await expectAgreement(people, ids);
  });

  test('adopted while updates change it, row by row, it ends as Postgres has it, and none is lost', async () => {
    const people = await openPeople(world);
    const ids = Array.from({ length: 12 }, (_, index) => `p${index}`);
    await people.put(Object.fromEntries(ids.map((id) => [id, { n: 0 }])));
    await people.collection.insertMany(ids.map((_id) => ({ _id, n: -1 })));
    const updates = ids.map(async (id) => {
      for (let n = 1; n <= 5; n += 1) {
        await people.put({ [id]: { n } });
        await people.drive(id).catch((error: unknown) => {
          expect(error).toMatchObject({ code: 'NotAdopted' });
        });
      }
    });
    const adoptions = [adopt(people), adopt(people)];
    await Promise.all([...updates, ...adoptions]);
    // The legs that came too early are tried again.
    await people.drive(...ids);
    expect(await people.read()).toEqual(Object.fromEntries(ids.map((id) => [id, { n: 5 }])));
    await expectAgreement(people, ids);
  });

  /** Each is at the version that Postgres has of it. */
  async function expectAgreement(people: People, ids: readonly string[]): Promise<void> {
    const found = await people.collection.find({ _id: { $in: [...ids] } }).toArray();
    const versions = await Promise.all(ids.map(async (id) => [id, await people.versionOf(id)]));
    expect(Object.fromEntries(found.map(({ _id, _tw }) => [_id, _tw?.version]))).toEqual(
      Object.fromEntries(versions),
    );
  }

  test('of a projection that owns fields, an adoption leaves the others alone', async () => {
    const people = await openPeople(world, { owns: ['name', 'nick'] });
    await people.collection.insertOne({ _id: 'a', name: 'old', nick: 'gone', likes: 7 });
    await people.put({ a: { name: 'new' } });
    expect(await inspect(people)).toMatchObject([{ changes: ['name'], removes: ['nick'] }]);
    await adopt(people);
    expect(await people.read()).toEqual({ a: { name: 'new', likes: 7 } });
  });

  test('a tombstone, and a later version, are ours: there is nothing to adopt', async () => {
    const people = await openPeople(world);
    await people.collection.insertMany([
      { _id: 'a', _tw: stamp(3, false) },
      { _id: 'b', _tw: stamp(9) },
    ]);
    expect(await strangersOf(people)).toEqual([]);
  });
});
