/**
 * Goal: raising the epoch drives again what MongoDB's ledger has lost, forward and back, once and in
 * order, and names what it cannot bring together (clause 13). Method: updates that are settled in
 * both stores, then taken from MongoDB as an older copy would not have them.
 */
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { LEDGER_COLLECTION } from '../../src/activities/mongo/ledger';
import { migrateMongo } from '../../src/activities/mongo/migrate';
import type { UpdateFinding } from '../../src/epoch/finding';
import { countPoints, projectPoints } from '../cli/fixtures/points.config';
import { ActivitySteps } from '../contract/activity-steps';
import { openWorld, type World } from '../support/world';
import { pointsOf, preparePoints, updates } from './points';
import { raise } from './raise';

const CANCELLED = { code: 'Cancelled', message: 'by the test' } as const;

describe('what the ledgers disagree on', () => {
  let world: World;
  let all: ActivitySteps;

  beforeAll(async () => {
    world = await openWorld();
    await preparePoints(world);
    all = new ActivitySteps(world.postgres, world.mongo, updates);
  });

  afterAll(async () => {
    await world.close();
  });

  const ledgerOfMongo = () =>
    world.mongo.db().collection<{ _id: string; state: string }>(LEDGER_COLLECTION);
  const counters = () => world.mongo.db().collection<{ _id: string; points: number }>('counters');
  const begin = async (account: string) => {
    const id = randomUUID();
    const input = { id, account, points: 1 };
    const steps = all.attempt({ definition: countPoints.name, token: id, input });
    const answer = await steps.applyPostgres();
    if (answer.at !== 'forward') throw new Error(`it is ${answer.at}`);
    return { id, steps, claim: answer.claim };
  };
  const apply = async (account: string): Promise<string> => {
    const { id, steps, claim } = await begin(account);
    expect(await steps.applyMongo(claim)).toMatchObject({ at: 'settled' });
    return id;
  };
  const compensate = async (account: string): Promise<string> => {
    const { id, steps, claim } = await begin(account);
    await steps.fencePostgres(CANCELLED);
    await steps.fenceMongo(claim);
    expect(await steps.undoPostgres()).toMatchObject({ outcome: { status: 'compensated' } });
    return id;
  };
  const stateOf = async (id: string) =>
    (await ledgerOfMongo().findOne({ _id: `countPoints/${id}` }))?.state;
  const found = async () => {
    const { findings } = await raise(world);
    return findings.map((finding) => {
      const { token, found: what, end } = finding as UpdateFinding;
      return [token, what, end];
    });
  };

  test('applied updates are driven again in the order of their tickets', async () => {
    const ids = [await apply('a'), await apply('a'), await apply('b')];
    await ledgerOfMongo().deleteMany({ _id: { $in: ids.map((id) => `countPoints/${id}`) } });
    await counters().deleteMany({});
    expect(await found()).toEqual(ids.map((id) => [id, 'lost in MongoDB', 'driven again']));
    const { postgres, mongo } = await pointsOf(world);
    expect(mongo.counters).toEqual({ a: 2, b: 1 });
    expect(postgres.counters).toEqual({ a: 2, b: 1 });
    expect(await found()).toEqual([]);
  });

  test('compensated updates are undone again, or fenced where MongoDB has nothing of them', async () => {
    const [undone, never] = [await compensate('c'), await compensate('c')];
    // As MongoDB was between the leg and its undo, and before both.
    await ledgerOfMongo().updateOne(
      { _id: `countPoints/${undone}` },
      { $set: { state: 'applied' } },
    );
    await counters().updateOne({ _id: 'c' }, { $set: { points: 1 } }, { upsert: true });
    await ledgerOfMongo().deleteOne({ _id: `countPoints/${never}` });
    expect(await found()).toEqual([
      [undone, 'lost in MongoDB', 'driven again'],
      [never, 'lost in MongoDB', 'driven again'],
    ]);
    expect([await stateOf(undone), await stateOf(never)]).toEqual(['undone', 'fenced']);
    expect((await pointsOf(world)).mongo.counters).toEqual({ a: 2, b: 1 });
  });

  test('what only one of them refuses is named, and left as it is', async () => {
    const [fenced, refused] = [await apply('d'), randomUUID()];
    await ledgerOfMongo().updateOne(
      { _id: `countPoints/${fenced}` },
      { $set: { state: 'fenced' } },
    );
    const input = { id: refused, account: 'd', points: 1 };
    const steps = all.attempt({ definition: countPoints.name, token: refused, input });
    await steps.fencePostgres(CANCELLED);
    await ledgerOfMongo().insertOne({ _id: `countPoints/${refused}`, state: 'applied' });
    expect(await found()).toEqual([
      [fenced, 'disagreed', 'needs somebody'],
      [refused, 'disagreed', 'needs somebody'],
    ]);
    expect([await stateOf(fenced), await stateOf(refused)]).toEqual(['fenced', 'applied']);
  });

  test('a MongoDB that was lost altogether is named, and then built anew', async () => {
    await apply('e');
    const input = { id: randomUUID(), account: 'e', points: 1 };
    const steps = all.attempt({ definition: projectPoints.name, token: input.id, input });
    const answer = await steps.applyPostgres();
    if (answer.at !== 'forward') throw new Error(`it is ${answer.at}`);
    await steps.applyMongo(answer.claim);
    const { postgres: before } = await pointsOf(world);
    for (const collection of await world.mongo.db().collections()) await collection.deleteMany({});
    await migrateMongo(world.mongo.db());
    await expect(raise(world)).rejects.toMatchObject({ code: 'UnsuitableStore' });
    const { findings } = await raise(world, { isNewPair: true });
    expect(findings).toContainEqual({
      what: 'document',
      collection: 'accounts',
      id: 'e',
      found: 'behind',
      end: 'projected',
    });
    expect(await pointsOf(world)).toEqual({ postgres: before, mongo: before });
  });
});
