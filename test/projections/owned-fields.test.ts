/**
 * Goal: a projection that owns some fields leaves the application's others alone, whatever happens
 * to the document, and is held to the application's validators while it is live (F14). Method: the
 * application's writes and Mongo legs on the same documents, one after the other and at once.
 */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { RefusedError } from '../../src/activities/refusal';
import { openWorld, type World } from '../support/world';
import { openPeople, stamp } from './people';

const OWNS = ['name', 'nick', 'at'];

describe('a projection that owns fields', () => {
  let world: World;

  beforeAll(async () => {
    world = await openWorld();
  });

  afterAll(async () => {
    await world.close();
  });

  test('sets what its image has, unsets what it lacks, and leaves the rest, through a whole life', async () => {
    const people = await openPeople(world, { owns: OWNS });
    const found = async () => await people.collection.findOne({ _id: 'a' });
    await people.put({ a: { name: 'Ada', nick: 'A', at: { x: 1, y: 1 } } });
    await people.drive('a');
    await people.collection.updateOne({ _id: 'a' }, { $set: { likes: 7, 'theirs.deep': 1 } });
    await people.put({ a: { name: 'Ada L.', at: { x: 2 } } });
    await people.drive('a');
    expect(await found()).toEqual({
      _id: 'a',
      name: 'Ada L.',
      at: { x: 2 },
      likes: 7,
      theirs: { deep: 1 },
      _tw: { version: 2, live: true },
    });
    await people.put({ a: undefined });
    await people.drive('a');
    expect(await found()).toEqual({
      _id: 'a',
      likes: 7,
      theirs: { deep: 1 },
      _tw: { version: 3, live: false },
    });
    await people.put({ a: { name: 'again' } });
    await people.drive('a');
    expect(await found()).toMatchObject({
      name: 'again',
      likes: 7,
      _tw: { version: 4, live: true },
    });
  });

  test('loses none of the writes that the application makes at the same time', async () => {
    const people = await openPeople(world, { owns: OWNS });
    await people.put({ a: { name: 'v0' } });
    await people.drive('a');
    const likes = Array.from({ length: 30 }, async () =>
      people.collection.updateOne({ _id: 'a' }, { $inc: { likes: 1 } as never }),
    );
    for (let n = 1; n <= 5; n += 1) {
      await people.put({ a: { name: `v${n}` } });
      await people.drive('a');
    }
    await Promise.all(likes);
    expect(await people.read()).toEqual({ a: { name: 'v5', likes: 30 } });
  });

  test('F14: a validator over both kinds of field holds for what is live, and not for a tombstone', async () => {
    const people = await openPeople(world, {
      owns: OWNS,
      validator: { $jsonSchema: { required: ['name', 'tenant'] } },
    });
    await people.put({ a: { name: 'Ada' } });
    // The application's own field is missing: only the application can mend that.
    await expect(people.drive('a')).rejects.toBeInstanceOf(RefusedError);
    await people.collection.insertOne({ _id: 'a', tenant: 't', name: 'Ada', _tw: stamp(0) });
    await people.drive('a');
    await people.put({ a: {} });
    await expect(people.drive('a')).rejects.toMatchObject({
      reason: { message: expect.stringContaining('code 121') },
    });
    await people.put({ a: undefined });
    await people.drive('a');
    expect(await people.collection.findOne({ _id: 'a' })).toEqual({
      _id: 'a',
      tenant: 't',
      _tw: { version: 3, live: false },
    });
  });

  test('F5: a key of owned and other fields that is in the way is written first, and swapped', async () => {
    const people = await openPeople(world, { owns: OWNS, unique: { tenant: 1, name: 1 } });
    await people.put({ a: { name: 'x' }, b: { name: 'y' } });
    await people.drive('a', 'b');
    await people.collection.updateMany({}, { $set: { tenant: 't' } });
    await people.put({ a: { name: 'y' }, b: { name: 'x' } });
    await people.drive('b');
    expect(await people.read()).toEqual({
      a: { name: 'y', tenant: 't' },
      b: { name: 'x', tenant: 't' },
    });
  });
});
