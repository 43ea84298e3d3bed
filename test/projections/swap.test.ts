/**
 * Goal: documents that exchange their unique values end as Postgres has them, and no reader sees a
 * document without its value on the way (clause 6, F5, F39). Method: permutations committed in
 * Postgres in one transaction, driven by one leg or by many at once.
 */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { openWorld, type World } from '../support/world';
import { openPeople, type People } from './people';

describe('documents that exchange their keys', () => {
  let world: World;

  beforeAll(async () => {
    world = await openWorld();
  });

  afterAll(async () => {
    await world.close();
  });

  const withEmail = async () => await openPeople(world, { unique: { email: 1 } });

  async function seated(people: People, count: number) {
    const ids = Array.from({ length: count }, (_, index) => `p${index}`);
    const seats = (order: readonly number[]) =>
      Object.fromEntries(ids.map((id, index) => [id, { email: `seat ${order[index]}` }]));
    await people.put(seats(ids.map((_, index) => index)));
    await people.drive(...ids);
    return { ids, seats };
  }

  test.each([2, 3, 5])(
    'F5: a rotation of %i is written by the leg of any one of them',
    async (count) => {
      const people = await withEmail();
      const { ids, seats } = await seated(people, count);
      const rotated = seats(ids.map((_, index) => (index + 1) % count));
      await people.put(rotated);
      await people.drive('p0');
      expect(await people.read()).toEqual(rotated);
      for (const id of ids) {
        const version = await people.versionOf(id);
        expect(await people.collection.findOne({ _id: id })).toMatchObject({
          _tw: { version, live: true },
        });
      }
    },
  );

  test('F5: whoever waits for a cycle that it is not in goes after it', async () => {
    const people = await withEmail();
    const { seats } = await seated(people, 3);
    // p1 and p2 swap, and p1 had been given what a new one takes now.
    await people.put({ ...seats([0, 2, 1]), fresh: { email: 'seat 0' }, p0: { email: 'seat 9' } });
    await people.drive('fresh', 'p2');
    expect(await people.read()).toEqual({
      ...seats([9, 2, 1]),
      fresh: { email: 'seat 0' },
    });
  });

  test('F5: cycles that are knotted by two indexes are written together', async () => {
    const people = await openPeople(world, { unique: { email: 1 } });
    const partial = { unique: true, partialFilterExpression: { '_tw.live': true } };
    await people.collection.createIndex({ phone: 1 }, partial);
    await people.put({
      a: { email: 'ea', phone: 'pa' },
      b: { email: 'eb', phone: 'pb' },
      c: { email: 'ec', phone: 'pc' },
    });
    await people.drive('a', 'b', 'c');
    const knotted = {
      a: { email: 'eb', phone: 'pc' },
      b: { email: 'ea', phone: 'pa' },
      c: { email: 'ec', phone: 'pb' },
    };
    await people.put(knotted);
    await people.drive('a');
    expect(await people.read()).toEqual(knotted);
  });

  test('F5: a leg that found some of a cycle written leaves those alone', async () => {
    const people = await openPeople(world, { unique: { email: 1 }, owns: ['email'] });
    const { seats } = await seated(people, 2);
    await people.collection.updateMany({}, { $set: { likes: 7 } });
    await people.put(seats([1, 0]));
    await Promise.all([people.drive('p0'), people.drive('p1'), people.drive('p0', 'p1')]);
    const found = await people.collection.find().sort({ _id: 1 }).toArray();
    expect(found).toMatchObject([
      { email: 'seat 1', likes: 7, _tw: { version: 2, live: true } },
      { email: 'seat 0', likes: 7, _tw: { version: 2, live: true } },
    ]);
  });

  test('clause 14: many legs shuffle many documents, and no reader ever sees one without its key', async () => {
    const people = await withEmail();
    const { ids, seats } = await seated(people, 6);
    const seen = { reads: 0, gaps: 0, isOver: false };
    const reader = (async () => {
      while (!seen.isOver) {
        const found = await people.collection.find().toArray();
        seen.reads += 1;
        seen.gaps += found.filter(({ email, _tw }) => email === undefined || !_tw?.live).length;
      }
    })();
    const order = ids.map((_, index) => index);
    for (let round = 0; round < 12; round += 1) {
      // The same shuffles in every run: each takes two others out of their places.
      order.push(...order.splice(round % 5, 2), ...order.splice(0, round % 3));
      await people.put(seats(order));
      await Promise.all(ids.map(async (id) => await people.drive(id)));
      expect(await people.read()).toEqual(seats(order));
    }
    seen.isOver = true;
    await reader;
    expect(seen.gaps).toBe(0);
    expect(seen.reads).toBeGreaterThan(10);
  });
});
