/**
 * Goal: a driver whose claim PostgreSQL has lost in a restore claims anew, and both stores end alike
 * (clause 13). Method: the steps of a driver, one by one, with what PostgreSQL has of the update
 * removed between two of them, as an older copy would not have it.
 */
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import type { Claim } from '../../src/domain/update-request';
import { countPoints, projectPoints } from '../cli/fixtures/points.config';
import { ActivitySteps } from '../contract/activity-steps';
import { openWorld, type World } from '../support/world';
import { type PointsUpdate, pointsOf, preparePoints, updates } from './points';

const CANCELLED = { code: 'Cancelled', message: 'by the test' } as const;

describe('a claim that PostgreSQL has lost', () => {
  let world: World;
  let all: ActivitySteps;
  let account = '';

  beforeAll(async () => {
    world = await openWorld();
    await preparePoints(world);
    all = new ActivitySteps(world.postgres, world.mongo, updates);
  });

  beforeEach(() => {
    account = randomUUID();
  });

  afterAll(async () => {
    await world.close();
  });

  const begin = async (definition: PointsUpdate) => {
    const id = randomUUID();
    const input = { id, account, points: 1 };
    const steps = all.attempt({ definition: definition.name, token: id, input });
    const answer = await steps.applyPostgres();
    if (answer.at !== 'forward') throw new Error(`it is ${answer.at}`);
    return { id, steps, claim: answer.claim };
  };
  /** As a PostgreSQL that was restored to before the update, and whose epoch was raised. */
  const lose = async (id: string) => {
    await world.postgres.query('delete from entry where id = $1', [id]);
    await world.postgres.query(
      `delete from twinwrite.pending p using twinwrite.ledger l where l.token = $1 and p.ticket = l.ticket`,
      [id],
    );
    await world.postgres.query('delete from twinwrite.ledger where token = $1', [id]);
    await world.postgres.query('delete from twinwrite.entity where key like $1', [`%${account}`]);
    await world.postgres.query('update twinwrite.store set epoch = epoch + 1');
  };
  const of = async (definition: PointsUpdate) => {
    const { postgres, mongo } = await pointsOf(world);
    const name = definition === projectPoints ? 'accounts' : 'counters';
    return { postgres: postgres[name][account], mongo: mongo[name][account] };
  };
  const forwardOf = (answer: { at: string; claim?: Claim }): Claim => {
    if (answer.at !== 'forward' || answer.claim === undefined)
      throw new Error(`it is ${answer.at}`);
    return answer.claim;
  };

  test.each([projectPoints, countPoints])(
    '$name: before its MongoDB leg, goes forward anew',
    async (definition) => {
      const { id, steps, claim } = await begin(definition);
      await lose(id);
      const anew = forwardOf(await steps.applyMongo(claim));
      expect(anew.ticket).not.toBe(claim.ticket);
      expect(await steps.applyMongo(anew)).toMatchObject({ outcome: { status: 'applied' } });
      expect(await of(definition)).toEqual({ postgres: 1, mongo: 1 });
    },
  );

  test('after its MongoDB leg, counts once', async () => {
    const { id, steps, claim } = await begin(countPoints);
    await steps.applyMongo(claim);
    await lose(id);
    const anew = forwardOf(await steps.applyMongo(claim));
    expect(await steps.applyMongo(anew)).toMatchObject({ outcome: { status: 'applied' } });
    expect(await of(countPoints)).toEqual({ postgres: 1, mongo: 1 });
  });

  test('that PostgreSQL refuses now is taken back in MongoDB', async () => {
    const { id, steps, claim } = await begin(countPoints);
    await lose(id);
    await world.postgres.query('insert into closed values ($1)', [account]);
    expect(await steps.applyMongo(claim)).toMatchObject({ outcome: { status: 'refused' } });
    expect(await of(countPoints)).toEqual({ postgres: undefined, mongo: undefined });
    // Again, as after a crash in between.
    expect(await steps.applyMongo(claim)).toMatchObject({ at: 'fencedOut' });
  });

  test('while it is undone, is applied and undone once more', async () => {
    const { id, steps, claim } = await begin(countPoints);
    await steps.fencePostgres(CANCELLED);
    await steps.fenceMongo(claim);
    await lose(id);
    const answer = await steps.undoPostgres();
    if (answer.at !== 'undoing') throw new Error(`it is ${answer.at}`);
    await steps.fenceMongo(answer.claim);
    expect(await steps.undoPostgres()).toMatchObject({ outcome: { status: 'compensated' } });
    expect(await of(countPoints)).toEqual({ postgres: undefined, mongo: undefined });
  });

  test('where MongoDB has it for good, goes forward anew', async () => {
    const { id, steps, claim } = await begin(countPoints);
    await steps.applyMongo(claim);
    await lose(id);
    const anew = forwardOf(await steps.resumeForward());
    expect(await steps.applyMongo(anew)).toMatchObject({ outcome: { status: 'applied' } });
    expect(await of(countPoints)).toEqual({ postgres: 1, mongo: 1 });
  });

  test('is not what MongoAhead means for an update that PostgreSQL knows', async () => {
    const { steps, claim } = await begin(projectPoints);
    await world.mongo
      .db()
      .collection<{ _id: string }>('accounts')
      .updateOne(
        { _id: account },
        { $set: { _tw: { version: 2 ** 50, live: true } } },
        { upsert: true },
      );
    await expect(steps.applyMongo(claim)).rejects.toMatchObject({
      type: 'MongoAhead',
      nonRetryable: true,
    });
    const { rows } = await world.postgres.query(
      'select parked from twinwrite.pending where ticket = $1',
      [claim.ticket],
    );
    expect(rows[0]?.parked).toContain('twinwrite epoch raise --dry-run');
  });
});
