/**
 * Goal: two builds that disagree on whether MongoDB has an undo bring a token to one outcome
 * (clauses 5 and 10). Method: a driver of each, interleaved by hand so that one turns the update
 * forward again after the other has taken it back in MongoDB.
 */
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { defineCrossStoreUpdate } from 'twinwrite';
import { z } from 'zod';
import { applyMongo } from '../../src/activities/mongo/leg';
import { UpdateInHand } from '../../src/activities/update-in-hand';
import type { Reason } from '../../src/domain/outcome';
import { driveForward } from '../../src/workflows/protocol';
import { openWorld, type World } from '../support/world';
import { ActivitySteps } from './activity-steps';

const REASON: Reason = { code: 'Cancelled', message: 'by the test' };

interface Mark {
  readonly _id: string;
}

const markInput = z.strictObject({ id: z.string() });

const buildOf = (hasMongoUndo: boolean) =>
  defineCrossStoreUpdate<typeof markInput, void>({
    name: 'mixed',
    input: markInput,
    token: ({ id }) => id,
    postgres: {
      apply: async ({ client, input }) => {
        await client.query('insert into mark (id) values ($1)', [input.id]);
      },
      undo: async ({ client, input }) => {
        await client.query('delete from mark where id = $1', [input.id]);
      },
    },
    mongo: {
      transaction: {
        apply: async ({ db, session, input }) => {
          await db.collection<Mark>('marks').insertOne({ _id: input.id }, { session });
        },
        ...(hasMongoUndo
          ? {
              undo: async ({ db, session, input }) => {
                await db.collection<Mark>('marks').deleteOne({ _id: input.id }, { session });
              },
            }
          : {}),
      },
    },
  });

describe('builds that disagree on an undo in MongoDB', () => {
  let world: World;

  beforeAll(async () => {
    world = await openWorld();
    await world.postgres.query('create table mark (id text primary key)');
    await world.mongo.db().createCollection('marks');
  });

  afterAll(async () => {
    await world.close();
  });

  test('clause 5: what one has taken back in MongoDB is not driven forward for ever by the other', async () => {
    const { postgres, mongo } = world;
    const token = randomUUID();
    const request = { definition: 'mixed', token, input: { id: token } };
    const withUndo = new ActivitySteps(postgres, mongo, [buildOf(true)]).bind(request);
    const without = new ActivitySteps(postgres, mongo, [buildOf(false)]).bind(request);
    const applied = await withUndo.applyPostgres();
    if (applied.at !== 'forward') throw new Error('it was claimed');
    const inHand = new UpdateInHand(buildOf(true), request, token);
    await applyMongo({ client: mongo, db: mongo.db() }, postgres, inHand, applied.claim);
    await withUndo.fencePostgres(REASON);
    expect(await without.fenceMongo(applied.claim)).toEqual({ at: 'applied' });
    expect(await withUndo.fenceMongo(applied.claim)).toEqual({ at: 'fenced' });
    expect(await without.resumeForward()).toMatchObject({ at: 'forward' });
    expect(await driveForward(without)).toMatchObject({ status: 'compensated' });
    expect((await postgres.query('select from mark where id = $1', [token])).rowCount).toBe(0);
    expect(await mongo.db().collection<Mark>('marks').countDocuments({ _id: token })).toBe(0);
  });
});
