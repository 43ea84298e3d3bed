/**
 * Goal: what a duplicate business key means (clause 6, F5): wait for whom, refuse whom, alarm when.
 * Method: rows and versions committed in Postgres by hand, documents put into a real collection
 * with a unique index, and the Mongo leg run for one of them.
 */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { readVersionedImages } from '../../src/activities/image';
import { writeInTurn } from '../../src/activities/mongo/projection-turns';
import { RefusedError } from '../../src/activities/refusal';
import { openWorld, type World } from '../support/world';
import { openPeople, type People, stamp } from './people';

interface Case {
  readonly what: string;
  readonly options: Parameters<typeof openPeople>[1];
  readonly a: Readonly<Record<string, unknown>>;
  readonly b: Readonly<Record<string, unknown>>;
}

describe('a duplicate key in a projection', () => {
  let world: World;

  beforeAll(async () => {
    world = await openWorld();
  });

  afterAll(async () => {
    await world.close();
  });

  const withEmail = async () => await openPeople(world, { unique: { email: 1 } });

  test('clause 6, F5: whoever gave the key up in Postgres is written first, and the leg goes on', async () => {
    const people = await withEmail();
    await people.put({ a: { email: 'x' } });
    await people.drive('a');
    await people.put({ a: { email: 'z' } });
    await people.put({ b: { email: 'x' } });
    await people.drive('b');
    expect(await people.read()).toEqual({ a: { email: 'z' }, b: { email: 'x' } });
  });

  test('clause 6, F5: a key that is free because its owner is gone passes over the tombstone', async () => {
    const people = await withEmail();
    await people.put({ a: { email: 'x' } });
    await people.drive('a');
    await people.put({ a: undefined, b: { email: 'x' } });
    await people.drive('b');
    expect(await people.read()).toEqual({ b: { email: 'x' } });
    expect(await people.collection.findOne({ _id: 'a' })).toMatchObject({ _tw: { live: false } });
  });

  test('clause 6, F5: a chain of thirty, each in the way of the next, is written from its end', async () => {
    const people = await withEmail();
    const ids = Array.from({ length: 30 }, (_, index) => `p${index}`);
    const seats = (shift: number) =>
      Object.fromEntries(ids.map((id, index) => [id, { email: `seat ${index + shift}` }]));
    await people.put(seats(0));
    await people.drive(...ids);
    await people.put(seats(1));
    await people.drive('p0');
    expect(await people.read()).toEqual(seats(1));
  });

  test('clause 6: a key whose owner is as new as Postgres is a refusal, which names the index and no value', async () => {
    const people = await withEmail();
    await people.put({ a: { email: 'secret' }, b: { email: 'secret' } });
    await people.drive('a');
    const refused = await failureOf(people.drive('b'));
    expect(refused).toBeInstanceOf(RefusedError);
    expect((refused as RefusedError).reason).toEqual({
      code: 'RefusedByMongo',
      message: 'MongoDB refused the data (code 11000, duplicate key, unique index on email)',
      constraint: 'unique index on email',
    });
    expect(await people.read()).toEqual({ a: { email: 'secret' } });
  });

  test('clause 6: a key that somebody else wrote, past Twinwrite, is a refusal', async () => {
    const people = await openPeople(world, {
      unique: { email: 1 },
      index: { partialFilterExpression: { email: { $exists: true } } },
    });
    await people.collection.insertOne({ _id: 'theirs', email: 'x' });
    await people.put({ b: { email: 'x' } });
    expect(await failureOf(people.drive('b'))).toBeInstanceOf(RefusedError);
    expect(await people.collection.findOne({ _id: 'theirs' })).toEqual({
      _id: 'theirs',
      email: 'x',
    });
  });

  test('clause 6: an image that Postgres has replaced meanwhile is not refused for the key that it had', async () => {
    const people = await withEmail();
    await people.put({ b: { email: 'x' } });
    const reference = people.projection.document('b');
    const [old] = await readVersionedImages(world.postgres, 2_000, [reference]);
    if (old === undefined) throw new Error('Postgres has b');
    await people.put({ b: { email: 'y' }, a: { email: 'x' } });
    await people.drive('a');
    const turns = {
      db: world.mongo.db(),
      postgres: world.postgres,
      ticket: '0',
      own: new Set([`${people.projection.collection}/b`]),
      until: performance.now() + 2_000,
    };
    await writeInTurn(turns, old);
    expect(await people.read()).toEqual({ a: { email: 'x' }, b: { email: 'y' } });
  });

  test('clause 6: what MongoDB refuses of the document in the way is no refusal of this update', async () => {
    const people = await openPeople(world, {
      unique: { email: 1 },
      validator: { email: { $ne: 'never' } },
    });
    await people.put({ a: { email: 'x' } });
    await people.drive('a');
    await people.put({ a: { email: 'never' }, b: { email: 'x' } });
    const failure = await failureOf(people.drive('b'));
    expect(failure).not.toBeInstanceOf(RefusedError);
    expect(failure).toMatchObject({
      message: expect.stringContaining(`waits for ${people.projection.collection}/a`),
    });
    expect(await people.read()).toEqual({ a: { email: 'x' } });
    // Once the other one's update is undone, or mended, ours passes.
    await people.put({ a: { email: 'w' } });
    await people.drive('b');
    expect(await people.read()).toEqual({ a: { email: 'w' }, b: { email: 'x' } });
  });

  test('clause 8: whom the time of a leg does not suffice is told to wait, not refused', async () => {
    const people = await openPeople(world, { unique: { email: 1 }, budgetMillis: 0 });
    await people.put({ a: { email: 'x' } });
    expect(await failureOf(people.drive('a'))).toMatchObject({
      name: 'Error',
      message: expect.stringContaining('the next attempt goes on'),
    });
  });

  describe.each<Case>([
    {
      what: 'a collation that ignores case, whose keys no query can look for',
      options: { unique: { email: 1 }, index: { collation: { locale: 'en', strength: 2 } } },
      a: { email: 'Ada' },
      b: { email: 'aDA' },
    },
    {
      what: 'a collation over a path through arrays',
      options: {
        unique: { 'tags.name': 1, n: 1 },
        index: { collation: { locale: 'en', strength: 1 } },
      },
      a: { tags: [{ name: 'q' }, { name: 'É' }], n: 1 },
      b: { tags: [{ name: 'e' }, { name: 'r' }], n: 1 },
    },
    {
      what: 'an array, one of whose values is taken',
      options: { unique: { tags: 1 } },
      a: { tags: ['p', 'q'] },
      b: { tags: ['q', 'r'] },
    },
    {
      what: 'an empty array, which is indexed as undefined',
      options: { unique: { tags: 1 } },
      a: { tags: [] },
      b: { tags: [] },
    },
    {
      what: 'several fields, some of them nested',
      options: { unique: { 'at.street': 1, 'at.number': -1 } },
      a: { at: { street: 's', number: 1 } },
      b: { at: { street: 's', number: 1 }, more: true },
    },
    {
      what: 'a value that is missing in both',
      options: { unique: { email: 1 } },
      a: { name: 'a' },
      b: { name: 'b' },
    },
    {
      what: 'a value that is a document',
      options: { unique: { at: 1 } },
      a: { at: { x: 1 } },
      b: { at: { x: 1 } },
    },
    {
      what: 'a value that reads like an operator',
      options: { unique: { email: 1 } },
      a: { email: '$ne' },
      b: { email: '$ne' },
    },
  ])('in an index on $what', ({ options, a, b }) => {
    let people: People;

    beforeAll(async () => {
      people = await openPeople(world, options);
      // Outside of a partial index, and not to be taken for its owner.
      await people.collection.insertOne({ ...b, _id: 'outside', _tw: stamp(1, false) });
      await people.put({ outside: undefined });
      await people.put({ a, b });
      await people.drive('a');
    });

    test('clause 6: its owner is found, and refuses while it is as new as Postgres', async () => {
      expect(await failureOf(people.drive('b'))).toBeInstanceOf(RefusedError);
    });

    test('F5: its owner is found, and is written first when it is behind', async () => {
      const free = { email: 'free', tags: [{ name: 'free' }], n: 9, at: { street: 'free' } };
      await people.put({ a: free });
      await people.drive('b');
      expect(await people.read()).toMatchObject({ a: free, b });
    });
  });
});

async function failureOf(work: Promise<unknown>): Promise<unknown> {
  return await work.then(
    () => undefined,
    (error: unknown) => error,
  );
}
