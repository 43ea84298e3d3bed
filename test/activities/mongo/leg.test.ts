/**
 * Goal: what a transaction-form leg does with twins, and with callbacks that break the rules.
 * Method: the leg itself, called directly on a real replica set.
 */
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { defineCrossStoreUpdate, type MongoTransaction } from 'twinwrite';
import { z } from 'zod';
import { applyMongo } from '../../../src/activities/mongo/leg';
import { UpdateInHand } from '../../../src/activities/update-in-hand';
import { openWorld, type World } from '../../support/world';

interface Note {
  _id: string;
}

describe('a transaction-form leg', () => {
  let world: World;

  beforeAll(async () => {
    world = await openWorld();
    await world.mongo.db().createCollection('notes');
  });

  afterAll(async () => {
    await world.close();
  });

  const legOf = (
    apply: (transaction: MongoTransaction, id: string) => Promise<void>,
    legTimeoutMillis = 4_000,
  ) => {
    const definition = defineCrossStoreUpdate({
      name: 'noted',
      legTimeoutMillis,
      input: z.strictObject({ id: z.string() }),
      token: ({ id }) => id,
      postgres: { apply: async () => {}, undo: async () => {} },
      mongo: { transaction: { apply: (context) => apply(context, context.input.id) } },
    });
    const id = randomUUID();
    const request = { definition: definition.name, token: id, input: { id } };
    const { mongo } = world;
    const claim = {
      ticket: '1',
      form: 'transaction',
      undoable: true,
      entities: [],
      documents: [],
      result: null,
    } as const;
    const run = async () =>
      await applyMongo(
        { client: mongo, db: mongo.db() },
        world.postgres,
        new UpdateInHand(definition, request, `noted/${id}`),
        claim,
      );
    return { id, run };
  };
  const noteOf = async (id: string) => await notes().findOne({ _id: id });
  const notes = () => world.mongo.db().collection<Note>('notes');
  const add = async ({ db, session }: MongoTransaction, id: string) => {
    await db.collection<Note>('notes').insertOne({ _id: id }, { session });
  };

  test('clause 3: of twenty at once one has an effect, and none hears of a fence that is not there', async () => {
    const { id, run } = legOf(add);
    const answers = await Promise.allSettled(Array.from({ length: 20 }, run));
    for (const answer of answers) {
      // On a slow machine some give up on the winner: Temporal runs them again.
      if (answer.status === 'fulfilled') expect(answer.value).toEqual({ at: 'applied' });
      else expect(answer.reason).toMatchObject({ code: 112 });
    }
    expect(await run()).toEqual({ at: 'applied' });
    expect(await noteOf(id)).not.toBeNull();
  });

  test("clause 6: a duplicate key in the user's collection is a refusal, never a claim that is taken", async () => {
    const { id, run } = legOf(add);
    await notes().insertOne({ _id: id });
    expect(await run()).toMatchObject({
      at: 'refused',
      reason: { code: 'RefusedByMongo', constraint: 'unique index on _id' },
    });
  });

  test('a callback that commits or aborts by itself is told so', async () => {
    for (const end of ['commitTransaction', 'abortTransaction'] as const) {
      const { run } = legOf(async ({ session }) => {
        await session[end]();
      });
      await expect(run()).rejects.toMatchObject({ code: 'TransactionMisused' });
    }
  });

  test('a callback that swallows the error of a command commits nothing: the server has aborted it', async () => {
    const { id, run } = legOf(async (transaction, own) => {
      await add(transaction, own);
      await add(transaction, own).catch(() => {});
    });
    await expect(run()).rejects.toMatchObject({ code: 251 });
    expect(await noteOf(id)).toBeNull();
  });

  test('an operation that a callback left behind is refused once the leg has ended', async () => {
    let late: Promise<void> | undefined;
    let end = () => {};
    const ended = new Promise<void>((resolve) => (end = resolve));
    const { id, run } = legOf(async (transaction) => {
      late = ended.then(() => add(transaction, id));
    });
    expect(await run()).toEqual({ at: 'applied' });
    end();
    await expect(late).rejects.toMatchObject({ name: 'MongoExpiredSessionError' });
    expect(await noteOf(id)).toBeNull();
  });

  test('clause 8: all tries together stay within the time of the shortest leg', async () => {
    const conflicting = legOf(add, 1_000);
    const session = world.mongo.startSession();
    session.startTransaction();
    await notes().insertOne({ _id: conflicting.id }, { session });
    const startedAt = performance.now();
    await expect(conflicting.run()).rejects.toMatchObject({ code: 112 });
    expect(performance.now() - startedAt).toBeLessThan(1_000);
    await session.abortTransaction();
    await session.endSession();
  });
});
