/**
 * Goal: a schema that a deploy changes breaks no token in flight, in the worker and in the client
 * (clause 2, F28). Method: one definition under an older and a newer schema; workers of the one and
 * of the other take turns over the same updates.
 */
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { defineCrossStoreUpdate, defineProjection, type MongoLeg } from 'twinwrite';
import { z } from 'zod';
import { eventually } from '../support/eventually';
import { openWorld, type RunningWorker, type World } from '../support/world';

const old = z.strictObject({ id: z.string(), quantity: z.int() });
const tightened = z.strictObject({ id: z.uuid(), quantity: z.int().max(10) });
const withDefault = old.extend({ priority: z.string().default('normal') });
const transforming = old.extend({
  quantity: z
    .int()
    .max(10)
    .transform((quantity) => quantity * 2),
});
const demanding = old.extend({ reason: z.string() });
const broken = old.refine((): boolean => {
  throw new Error('a bug in the schema');
});

type Ordered = z.output<typeof old>;
type Form = 'projection' | 'transaction';

/** What MongoDB makes of some updates, by id, for the tests to say. */
const held = new Set<string>();
const refused = new Set<string>();

const documents = defineProjection({
  collection: 'ordered_images',
  image: async ({ postgres, ids }) => {
    const mode = await postgres.query<{ transaction_read_only: string }>(
      'show transaction_read_only',
    );
    const isMongoLeg = mode.rows[0]?.transaction_read_only === 'on';
    if (isMongoLeg && ids.some((id) => held.has(id))) throw new Error('held by the test');
    const { rows } = await postgres.query<{ id: string; quantity: number }>(
      'select id, quantity from ordered where id = any($1)',
      [ids],
    );
    // Its collection's validator refuses a negative quantity.
    return rows.map(({ id, quantity }) => ({
      _id: id,
      quantity: isMongoLeg && refused.has(id) ? -1 : quantity,
    }));
  },
});

const legs: { readonly [Name in Form]: MongoLeg<Ordered, unknown> } = {
  projection: { project: ({ id }) => [documents.document(id)] },
  transaction: {
    transaction: {
      apply: async ({ db, session, input: { id, quantity }, refuse }) => {
        if (held.has(id)) throw new Error('held by the test');
        if (refused.has(id)) refuse('by the test');
        const collection = db.collection<{ _id: string; quantity: number }>('ordered');
        await collection.insertOne({ _id: id, quantity }, { session });
      },
    },
  },
};

/** What the undo was given, by id. */
const undone = new Map<string, unknown>();

/** One definition, as the build with this schema has it. */
function buildOf(form: Form, schema: z.ZodType) {
  return defineCrossStoreUpdate({
    name: `ordered_${form}`,
    input: schema as typeof old,
    token: ({ id }) => id,
    legTimeoutMillis: 2_000,
    postgres: {
      apply: async ({ client, input: { id, quantity } }) => {
        await client.query('insert into ordered (id, quantity) values ($1, $2)', [id, quantity]);
        return { quantity };
      },
      undo: async ({ client, input }) => {
        undone.set(input.id, input);
        await client.query('delete from ordered where id = $1', [input.id]);
      },
    },
    mongo: legs[form],
  });
}

const orderOf = (quantity: number): Ordered => ({ id: randomUUID(), quantity });

describe.each<{ form: Form; collection: string }>([
  { form: 'projection', collection: 'ordered_images' },
  { form: 'transaction', collection: 'ordered' },
])('$form form', ({ form, collection }) => {
  let world: World;
  const before = buildOf(form, old);
  const after = buildOf(form, tightened);
  const settled = orderOf(50);
  const inFlight = { goesOn: orderOf(51), isUndone: orderOf(52), wasTerminated: orderOf(53) };
  const waiting = { transforming: orderOf(80), demanding: orderOf(81) };
  const loosened = orderOf(90);
  const metBug = orderOf(4);

  const rowOf = async (id: string) =>
    (await world.postgres.query('select from ordered where id = $1', [id])).rowCount;
  const documentOf = async (id: string) =>
    await world.mongo
      .db()
      .collection<{ _id: string }>(collection)
      .findOne({ _id: id, '_tw.live': { $ne: false } });
  const workflowOf = ({ id }: Ordered) =>
    world.temporal.workflow.getHandle(world.twinwrite.handle(before, id).workflowId);
  const failureOf = async (order: Ordered) => {
    const { raw } = await workflowOf(order).describe();
    return raw.pendingActivities?.[0]?.lastFailure;
  };
  /** As if Temporal had forgotten the token: the ledger is asked. */
  const executeForgotten = async (order: Ordered): Promise<unknown> =>
    await world.temporal.workflow.execute('crossStoreUpdate', {
      workflowId: `forgotten/${randomUUID()}`,
      taskQueue: world.name,
      args: [{ definition: before.name, token: order.id, input: order }],
    });

  /** Deploys a build for the tests of a block. */
  const deploy = (schema: z.ZodType) => {
    let worker: RunningWorker;
    beforeAll(async () => {
      worker = await world.startWorker({ updates: [buildOf(form, schema)] });
    });
    afterAll(async () => {
      await worker.stop();
    });
  };

  beforeAll(async () => {
    world = await openWorld();
    await world.postgres.query('create table ordered (id text primary key, quantity int not null)');
    await world.mongo.db().createCollection(collection, {
      validator: { quantity: { $not: { $lt: 0 } } },
    });
  });

  afterAll(async () => {
    await world.close();
  });

  describe('under the old schema', () => {
    deploy(old);

    test('some updates are settled, and some are where Postgres has them and MongoDB has not', async () => {
      const outcome = await world.twinwrite.execute(before, settled);
      expect(outcome).toEqual({ status: 'applied', result: { quantity: 50 } });
      const orders = [...Object.values(inFlight), ...Object.values(waiting)];
      for (const order of orders) held.add(order.id);
      await Promise.all(orders.map((order) => world.twinwrite.submit(before, order)));
      for (const { id } of orders) {
        await eventually(async () => (await rowOf(id)) === 1 || undefined, 'Postgres has it');
      }
      // Without their workflows they wait for no backoff, and the ledger knows them all the same.
      for (const order of [inFlight.wasTerminated, ...Object.values(waiting)]) {
        await workflowOf(order).terminate('by the test');
      }
    });
  });

  describe('under a tightened schema', () => {
    deploy(tightened);
    beforeAll(() => {
      held.clear();
      refused.add(inFlight.isUndone.id);
    });

    test('clause 2: what was settled is answered, by client and worker', async () => {
      const outcome = { status: 'applied', result: { quantity: 50 } };
      expect(await world.twinwrite.execute(after, settled)).toEqual(outcome);
      const options = { token: settled.id };
      expect(await world.twinwrite.execute(after, settled, options)).toEqual(outcome);
      expect(await executeForgotten(settled)).toEqual(outcome);
    });

    test('clause 2: what was in flight goes on, with the input that was let in', async () => {
      const outcome = await world.twinwrite.execute(after, inFlight.goesOn);
      expect(outcome).toEqual({ status: 'applied', result: { quantity: 51 } });
      expect(await documentOf(inFlight.goesOn.id)).toMatchObject({ quantity: 51 });
    });

    test('clause 5: what was in flight is undone, with the input that was let in', async () => {
      const { id } = inFlight.isUndone;
      const outcome = await world.twinwrite.handle(before, id).outcome();
      expect(outcome).toMatchObject({ status: 'compensated' });
      expect(undone.get(id)).toEqual(inFlight.isUndone);
      expect(await documentOf(id)).toBeNull();
      expect(await rowOf(id)).toBe(0);
    });

    test('clause 2: what was terminated is taken up again', async () => {
      const outcome = await world.twinwrite.execute(after, inFlight.wasTerminated);
      expect(outcome).toEqual({ status: 'applied', result: { quantity: 53 } });
    });

    test('clause 2: what nobody knows is refused by the client, and starts nothing', async () => {
      const order = orderOf(50);
      const call = world.twinwrite.execute(after, order);
      await expect(call).rejects.toMatchObject({ code: 'InvalidInput' });
      await expect(call).rejects.toThrow(/quantity/);
      const handle = world.twinwrite.handle(after, order.id);
      await expect(handle.outcome()).rejects.toMatchObject({ code: 'UnknownUpdate' });
    });

    test('clause 2: what nobody knows is refused by the worker of an older client', async () => {
      const call = world.twinwrite.execute(before, loosened);
      await expect(call).rejects.toMatchObject({ code: 'InvalidInput', token: loosened.id });
      const again = world.twinwrite.execute(after, loosened);
      await expect(again).rejects.toMatchObject({ code: 'InvalidInput' });
      expect(await rowOf(loosened.id)).toBe(0);
    });

    test('clause 1: another input under a known token is no better', async () => {
      const good = world.twinwrite.execute(after, { ...settled, quantity: 5 });
      await expect(good).rejects.toMatchObject({ code: 'TokenReused', token: settled.id });
      const bad = world.twinwrite.execute(after, { ...settled, quantity: 51 });
      await expect(bad).rejects.toMatchObject({ code: 'InvalidInput' });
    });
  });

  describe.each([
    ['makes something else of the input', transforming, waiting.transforming],
    ['asks for a field that is not there', demanding, waiting.demanding],
  ])('under a schema that refuses and %s', (_name, schema, order) => {
    deploy(schema);

    test('clause 2: what was in flight waits for another build', async () => {
      await world.twinwrite.submit(before, order);
      await eventually(async () => {
        const failure = await failureOf(order);
        return failure?.applicationFailureInfo?.type === 'InvalidDefinition' || undefined;
      }, 'it is seen to wait');
      // So that its slow retry need not be waited for.
      await workflowOf(order).terminate('by the test');
      expect(await rowOf(order.id)).toBe(1);
    });
  });

  describe('under a schema with a default more', () => {
    deploy(withDefault);

    test('clause 1: the fingerprint is the same, in the client and in the ledger', async () => {
      const outcome = { status: 'applied', result: { quantity: 50 } };
      const build = buildOf(form, withDefault);
      expect(await world.twinwrite.execute(build, settled)).toEqual(outcome);
      expect(await executeForgotten(settled)).toEqual(outcome);
    });
  });

  describe('under a schema that throws', () => {
    deploy(broken);

    test('clause 2: what is known is answered', async () => {
      expect(await executeForgotten(settled)).toMatchObject({ status: 'applied' });
    });

    test('clause 2: a bug refuses nothing, neither in the worker nor in the client', async () => {
      await world.twinwrite.submit(before, metBug);
      await eventually(
        async () => (await failureOf(metBug))?.message?.includes('a bug') || undefined,
        'the bug is seen',
      );
      const inClient = world.twinwrite.execute(buildOf(form, broken), metBug);
      await expect(inClient).rejects.toThrow('a bug in the schema');
      await expect(inClient).rejects.not.toMatchObject({ code: 'InvalidInput' });
    });
  });

  describe('under the old schema again, which loosens the tightened one', () => {
    deploy(old);

    test.each([
      ['waited for another build', waiting.transforming],
      ['waited for a field', waiting.demanding],
      ['was refused before', loosened],
      ['met a bug', metBug],
    ])('clause 2: what %s is applied, under the same token', async (_name, order) => {
      const outcome = await world.twinwrite.execute(before, order);
      expect(outcome).toEqual({ status: 'applied', result: { quantity: order.quantity } });
      expect(await documentOf(order.id)).toMatchObject({ quantity: order.quantity });
    });
  });
});
