import { defineCrossStoreUpdate, defineProjection, type PostgresLeg } from 'twinwrite';
import { z } from 'zod';
import type { World } from '../support/world';

/**
 * Two definitions whose schema lets anything in, one for each form of Mongo leg: what stands
 * between a value and the stores is Twinwrite alone. The value goes into Postgres as `jsonb` and as
 * text, into MongoDB as a field, and comes back as the result.
 */

const input = z.strictObject({ id: z.string(), value: z.any() });
type Carried = z.output<typeof input>;

export async function prepareCarriers(world: World): Promise<void> {
  await world.postgres.query(
    'create table carried (id text primary key, value jsonb not null, plain text not null)',
  );
  await world.mongo.db().createCollection('carried');
}

const postgres: PostgresLeg<Carried, { readonly value: unknown }> = {
  apply: async ({ client, input: { id, value } }) => {
    const text = JSON.stringify(value);
    await client.query('insert into carried (id, value, plain) values ($1, $2, $3)', [
      id,
      text,
      typeof value === 'string' ? value : text,
    ]);
    return { value };
  },
};

const documents = defineProjection({
  collection: 'carried_images',
  image: async ({ postgres: client, ids }) => {
    const { rows } = await client.query<{ id: string; value: unknown }>(
      'select id, value from carried where id = any($1)',
      [ids],
    );
    return rows.map(({ id, value }) => ({ _id: id, value }));
  },
});

export const projectionCarrier = defineCrossStoreUpdate({
  name: 'projectionCarrier',
  input,
  token: ({ id }) => id,
  entities: ({ id }) => [`carried:${id}`],
  postgres,
  mongo: { project: ({ id }) => [documents.document(id)] },
});

const transactionCarrier = defineCrossStoreUpdate({
  name: 'transactionCarrier',
  input,
  token: ({ id }) => id,
  entities: ({ id }) => [`carried:${id}`],
  postgres,
  mongo: {
    transaction: {
      apply: async ({ db, session, input: { id, value } }) => {
        const collection = db.collection<{ _id: string; value: unknown }>('carried');
        await collection.insertOne({ _id: id, value }, { session });
      },
    },
  },
});

export const CARRIERS = [
  { form: 'projection', definition: projectionCarrier, collection: 'carried_images' },
  { form: 'transaction', definition: transactionCarrier, collection: 'carried' },
] as const;

/** Whether either store has anything of an update with this id or token. */
export async function tracesOf(world: World, id: string): Promise<number> {
  const db = world.mongo.db();
  const counts = await Promise.all([
    world.postgres.query('select from carried where id = $1', [id]),
    world.postgres.query('select from twinwrite.ledger where token = $1', [id]),
    world.postgres.query('select from twinwrite.pending where $1 = any(tokens)', [id]),
  ]);
  const documentCounts = await Promise.all([
    ...CARRIERS.map(({ collection }) =>
      db.collection<{ _id: string }>(collection).countDocuments({ _id: id }),
    ),
    ...CARRIERS.map(({ definition }) =>
      db
        .collection<{ _id: string }>('twinwrite_ledger')
        .countDocuments({ _id: `${definition.name}/${id}` }),
    ),
  ]);
  return [...counts.map(({ rowCount }) => rowCount ?? 0), ...documentCounts].reduce(
    (sum, count) => sum + count,
    0,
  );
}
