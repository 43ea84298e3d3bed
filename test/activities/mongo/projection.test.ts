/**
 * Goal: a projected document only moves forward, and only if it is ours (clause 7, F4, F14).
 * Method: images written in every order, on a real collection.
 */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { type Collection, Long } from 'mongodb';
import { type WriteAnswer, writeImage } from '../../../src/activities/mongo/projection';
import { defineProjection } from '../../../src/domain/projection';
import { eventually } from '../../support/eventually';
import { openWorld, type World } from '../../support/world';

interface Card {
  _id: string;
  [field: string]: unknown;
}

describe('a projected document', () => {
  let world: World;
  let cards: Collection<Card>;

  beforeAll(async () => {
    world = await openWorld();
    cards = await world.mongo.db().createCollection<Card>('cards', {
      validator: { $jsonSchema: { required: ['face'] } },
    });
  });

  beforeEach(async () => {
    await cards.deleteMany({});
  });

  afterAll(async () => {
    await world.close();
  });

  const whole = defineProjection({ collection: 'cards', image: async () => [] });
  const owning = defineProjection({
    collection: 'cards',
    image: async () => [],
    owns: ['face', 'back'],
  });
  const write = async (
    version: number,
    face: string | undefined,
    projection = whole,
    id = 'c1',
  ): Promise<WriteAnswer> =>
    await writeImage(world.mongo.db(), 2_000, {
      reference: projection.document(id),
      version: String(version),
      holder: null,
      image: face === undefined ? undefined : { _id: id, face },
    });
  const writeUntilClear: typeof write = async (...parameters) => {
    const answer = await write(...parameters);
    return answer.at === 'unclear' ? await writeUntilClear(...parameters) : answer;
  };
  const read = async () => await cards.findOne({ _id: 'c1' });

  test('every order of three versions ends with the newest', async () => {
    const orders = [
      [1, 2, 3],
      [1, 3, 2],
      [2, 1, 3],
      [2, 3, 1],
      [3, 1, 2],
      [3, 2, 1],
    ];
    for (const order of orders) {
      await cards.deleteMany({});
      for (const version of order) await write(version, `v${version}`);
      expect(await read()).toMatchObject({ face: 'v3', _tw: { version: 3, live: true } });
    }
  });

  test.each([
    { form: 'whole', projection: whole },
    { form: 'owning', projection: owning },
  ])(
    'F4: first inserts of many new $form documents that race end with the newest',
    async ({ projection }) => {
      for (let round = 0; round < 3; round += 1) {
        await cards.deleteMany({});
        const ids = Array.from({ length: 5 }, (_, index) => `c${index}`);
        const versions = Array.from({ length: 10 }, (_, index) => ((index * 7 + round) % 10) + 1);
        const races = versions.flatMap((version) =>
          ids.map(async (id) => {
            const answer = await writeUntilClear(version, `v${version}`, projection, id);
            // Whoever was not the newest was written before it, or found a newer one there.
            if (version === 10) expect(answer).toEqual({ at: 'written' });
            if (answer.at === 'superseded')
              expect(answer.version.toNumber()).toBeGreaterThan(version);
          }),
        );
        await Promise.all(races);
        const found = await cards.find().sort({ _id: 1 }).toArray();
        expect(found).toEqual(
          ids.map((_id) => ({ _id, face: 'v10', _tw: { version: 10, live: true } })),
        );
      }
    },
  );

  test.each([
    { met: 3, version: 5, answer: { at: 'written' }, face: 'v5' },
    { met: 7, version: 5, answer: { at: 'superseded', version: Long.fromNumber(7) }, face: 'met' },
  ])(
    'F4: a first insert of $version that meets one of $met, unseen when it looked, ends with the newer',
    async ({ met, version, answer, face }) => {
      const session = world.mongo.startSession();
      session.startTransaction();
      const stamp = { version: Long.fromNumber(met), live: true };
      await cards.insertOne({ _id: 'c1', face: 'met', _tw: stamp }, { session });
      const written = writeUntilClear(version, `v${version}`);
      await eventually(async () => {
        const waiting = await world.mongo
          .db('admin')
          .aggregate([
            { $currentOp: {} },
            { $match: { ns: cards.namespace, op: 'update', writeConflicts: { $gt: 0 } } },
          ])
          .toArray();
        return waiting.length > 0 ? true : undefined;
      }, 'the insert waits for the transaction');
      await session.commitTransaction();
      await session.endSession();
      expect(await written).toEqual(answer);
      expect(await read()).toMatchObject({ face });
    },
  );

  test('a version that is there already is superseded by itself', async () => {
    await write(3, 'a');
    expect(await write(3, 'a')).toEqual({ at: 'superseded', version: Long.fromNumber(3) });
    expect(await write(2, 'late')).toEqual({ at: 'superseded', version: Long.fromNumber(3) });
    expect(await read()).toMatchObject({ face: 'a' });
  });

  test('a field that the newer image has not is gone', async () => {
    await write(1, 'a');
    await cards.updateOne({ _id: 'c1' }, { $set: { stray: 1 } });
    await write(2, 'b');
    expect(await read()).not.toHaveProperty('stray');
  });

  test('a document that is gone becomes a tombstone, past the validator, and stays one (F14)', async () => {
    await write(1, 'a');
    await write(3, undefined);
    await write(2, 'late');
    expect(await read()).toEqual({ _id: 'c1', _tw: { version: 3, live: false } });
    await write(4, 'again');
    expect(await read()).toMatchObject({ face: 'again', _tw: { live: true } });
  });

  test('a document that exists without our version is reported, and left as it is', async () => {
    await cards.insertOne({ _id: 'c1', face: 'theirs' });
    await expect(write(5, 'ours')).rejects.toMatchObject({ code: 'NotAdopted' });
    await expect(write(6, undefined)).rejects.toMatchObject({ code: 'NotAdopted' });
    expect(await read()).toEqual({ _id: 'c1', face: 'theirs' });
  });

  test('what the projection does not own is left alone, its own fields are set and unset', async () => {
    await write(1, 'a', owning);
    await cards.updateOne({ _id: 'c1' }, { $set: { likes: 7, back: 'old' } });
    await write(2, 'b', owning);
    expect(await read()).toEqual({
      _id: 'c1',
      face: 'b',
      likes: 7,
      _tw: { version: 2, live: true },
    });
    await write(3, undefined, owning);
    expect(await read()).toEqual({ _id: 'c1', likes: 7, _tw: { version: 3, live: false } });
  });

  test('a version is a 64-bit integer in MongoDB, not a double', async () => {
    await write(2 ** 45 + 1, 'a');
    const raw = await cards.findOne({ _id: 'c1' }, { promoteLongs: false });
    expect(raw).toMatchObject({ _tw: { version: Long.fromNumber(2 ** 45 + 1) } });
  });

  test('a refusal by the validator passes through with its code', async () => {
    const refused = writeImage(world.mongo.db(), 2_000, {
      reference: whole.document('c1'),
      version: '1',
      holder: null,
      image: { _id: 'c1', back: 'no face' },
    });
    await expect(refused).rejects.toMatchObject({ code: 121 });
  });
});
