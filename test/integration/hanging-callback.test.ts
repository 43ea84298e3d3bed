/**
 * Goal: a callback that never returns costs its own attempt, and nobody else's (clause 8). Method:
 * the first attempt of each callback waits for something that never comes; one worker.
 */
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { defineCrossStoreUpdate, defineProjection } from 'twinwrite';
import { z } from 'zod';
import { openWorld, type World } from '../support/world';

describe('a callback that never returns', () => {
  let world: World;
  const hung = new Set<string>();

  /** The first time, for ever. */
  const hang = async (where: string): Promise<void> => {
    if (hung.has(where)) return;
    hung.add(where);
    await new Promise(() => {});
  };

  beforeAll(async () => {
    world = await openWorld();
    await world.postgres.query('create table item (id text primary key)');
  });

  afterAll(async () => {
    await world.close();
  });

  const items = defineProjection({
    collection: 'items',
    image: async ({ ids }) => {
      await hang('image');
      return ids.map((_id) => ({ _id }));
    },
  });
  const leg = {
    name: 'hanging',
    input: z.strictObject({ id: z.string() }),
    token: (input: { id: string }) => input.id,
    legTimeoutMillis: 1_000,
    postgres: {
      apply: async ({ client, input }: ApplyContext) => {
        await client.query('insert into item (id) values ($1)', [input.id]);
        await hang(`apply ${input.id}`);
      },
    },
  };

  test.each([
    defineCrossStoreUpdate({ ...leg, mongo: { project: ({ id }) => [items.document(id)] } }),
    defineCrossStoreUpdate({
      ...leg,
      mongo: {
        transaction: {
          apply: async ({ db, session, input }) => {
            await db.collection('items').insertOne({ item: input.id }, { session });
            await hang('transaction');
          },
        },
      },
    }),
  ])('clause 8: is given up in time, and its retry goes on: $form', async (definition) => {
    const worker = await world.startWorker({ updates: [definition] });
    const input = { id: randomUUID() };
    expect(await world.twinwrite.execute(definition, input)).toMatchObject({ status: 'applied' });
    await worker.stop();
    const { rowCount } = await world.postgres.query('select 1 from item where id = $1', [input.id]);
    expect(rowCount).toBe(1);
    const found = { $or: [{ _id: input.id as never }, { item: input.id }] };
    expect(await world.mongo.db().collection('items').countDocuments(found)).toBe(1);
  });
});

type ApplyContext = Parameters<
  ReturnType<typeof defineCrossStoreUpdate<z.ZodType<{ id: string }>, void>>['postgres']['apply']
>[0];
