/**
 * Goal: a document that is at a later version than Postgres is an alarm, and never a success
 * (clause 13); one that is at a later version than ours alone is a success. Method: versions set by
 * hand on both sides.
 */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { readVersionedImages } from '../../src/activities/image';
import { writeInTurn } from '../../src/activities/mongo/projection-turns';
import { openWorld, type World } from '../support/world';
import { openPeople, stamp } from './people';

describe('a document at a later version', () => {
  let world: World;

  beforeAll(async () => {
    world = await openWorld();
  });

  afterAll(async () => {
    await world.close();
  });

  test('F4: than this leg has, and not than Postgres, is a success that changes nothing', async () => {
    const people = await openPeople(world);
    await people.put({ a: { name: 'first' } });
    const [old] = await readVersionedImages(world.postgres, 2_000, [
      people.projection.document('a'),
    ]);
    if (old === undefined) throw new Error('Postgres has a');
    await people.put({ a: { name: 'second' } });
    await people.drive('a');
    const until = performance.now() + 2_000;
    await writeInTurn(
      {
        db: world.mongo.db(),
        postgres: world.postgres,
        ticket: '0',
        own: new Set(),
        until,
      },
      old,
    );
    expect(await people.read()).toEqual({ a: { name: 'second' } });
  });

  test('clause 13: than Postgres is MongoAhead, and is not overwritten', async () => {
    const people = await openPeople(world);
    await people.put({ a: { name: 'restored' } });
    await people.collection.insertOne({ _id: 'a', name: 'lost by the restore', _tw: stamp(9) });
    await expect(people.drive('a')).rejects.toMatchObject({
      code: 'MongoAhead',
      fields: { collection: people.projection.collection, id: 'a' },
    });
    expect(await people.read()).toEqual({ a: { name: 'lost by the restore' } });
  });

  test('clause 13: than Postgres, with a key that is in the way, is MongoAhead too', async () => {
    const people = await openPeople(world, { unique: { email: 1 } });
    await people.put({ a: { email: 'z' } });
    await people.collection.insertOne({ _id: 'a', email: 'x', _tw: stamp(9) });
    await people.put({ b: { email: 'x' } });
    await expect(people.drive('b')).rejects.toMatchObject({
      code: 'MongoAhead',
      fields: { id: 'a' },
    });
    expect(await people.read()).toEqual({ a: { email: 'x' } });
  });

  test('clause 13: with a key that is in the way, and unknown to Postgres, is MongoAhead too', async () => {
    const people = await openPeople(world, { unique: { email: 1 } });
    await people.collection.insertOne({ _id: 'ghost', email: 'x', _tw: stamp(1) });
    await people.put({ b: { email: 'x' } });
    await expect(people.drive('b')).rejects.toMatchObject({
      code: 'MongoAhead',
      fields: { id: 'ghost' },
    });
  });
});
