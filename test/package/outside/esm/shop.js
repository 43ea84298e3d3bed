// The definitions of an application in ECMAScript modules: one of each form of the MongoDB leg.
import { defineCrossStoreUpdate, defineProjection } from 'twinwrite';
import { z } from 'zod';

const seats = defineProjection({
  collection: 'seats',
  image: async ({ postgres, ids }) => {
    const { rows } = await postgres.query('select id, guest from seats where id = any($1)', [ids]);
    return rows.map(({ id, guest }) => ({ _id: id, guest }));
  },
});

const seat = z.strictObject({ id: z.string(), guest: z.string().default('nobody') });

/** The projection form. */
export const takeSeat = defineCrossStoreUpdate({
  name: 'takeSeat',
  input: seat,
  token: (input) => input.id,
  postgres: {
    apply: async ({ client, input, refuse }) => {
      if (input.guest === 'banned') return refuse('this guest is banned');
      await client.query('insert into seats values ($1, $2)', [input.id, input.guest]);
      return { guest: input.guest };
    },
    undo: async ({ client, input }) => {
      await client.query('delete from seats where id = $1', [input.id]);
    },
  },
  mongo: { project: (input) => [seats.document(input.id)] },
});

/** The transaction form. */
export const orderMeal = defineCrossStoreUpdate({
  name: 'orderMeal',
  input: z.strictObject({ id: z.string(), dishes: z.array(z.string()) }),
  token: (input) => input.id,
  postgres: {
    apply: async ({ client, input }) => {
      await client.query('insert into meals values ($1, $2)', [input.id, input.dishes.length]);
      return { dishes: input.dishes.length };
    },
  },
  mongo: {
    transaction: {
      apply: async ({ db, session, input, result }) => {
        const meal = { _id: input.id, dishes: input.dishes, count: result.dishes };
        await db.collection('meals').insertOne(meal, { session });
      },
    },
  },
});

/** What the application's own migrations would do. */
export async function prepareShop(postgres) {
  await postgres.query('create table if not exists seats (id text primary key, guest text)');
  await postgres.query('create table if not exists meals (id text primary key, count int)');
}
