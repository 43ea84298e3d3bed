import { randomUUID } from 'node:crypto';
import {
  defineCrossStoreUpdate,
  defineProjection,
  type MongoReader,
  type PostgresClient,
  type Refuse,
} from 'twinwrite';
import { z } from 'zod';
import type { World } from '../support/world';

/** Seats of shows: a definition whose prechecks a test may watch, hold and change the world in. */

export interface Visit {
  readonly postgres: PostgresClient;
  readonly mongo: MongoReader;
  readonly refuse: Refuse;
  /** How often it was there before. */
  readonly before: number;
}

type Behaviour = (visit: Visit) => Promise<unknown>;

/** The ids whose prechecks ran, in order. */
export const visits: string[] = [];
const behaviours = new Map<string, Behaviour>();

/** An id whose precheck behaves in this way before it looks. */
export function visiting(behaviour: Behaviour): string {
  const id = randomUUID();
  behaviours.set(id, behaviour);
  return id;
}

/** The same for the first of its visits alone. */
export function firstTime(behaviour: Behaviour): string {
  return visiting(async (visit) => {
    if (visit.before === 0) await behaviour(visit);
  });
}

export const tickets = defineProjection({
  collection: 'tickets',
  image: async ({ postgres, ids }) => {
    const sql = 'select id as _id, show from booking where id = any($1)';
    return (await postgres.query<{ _id: string; show: string }>(sql, [ids])).rows;
  },
});

const input = z.strictObject({ id: z.string(), show: z.string(), lock: z.string().optional() });

export type Booking = z.input<typeof input>;

export const book = defineCrossStoreUpdate({
  name: 'book',
  input,
  token: ({ id }) => id,
  entities: ({ lock }) => (lock === undefined ? [] : [lock]),
  legTimeoutMillis: 6_000,
  precheck: async ({ postgres, mongo, input: { id, show }, refuse }) => {
    const before = visits.filter((visit) => visit === id).length;
    visits.push(id);
    await behaviours.get(id)?.({ postgres, mongo, refuse, before });
    const { rows } = await postgres.query('select from show where name = $1 and seats > 0', [show]);
    if (rows.length === 0) refuse(`${show} is sold out, as it seems`, { show, seats: [] });
    const filter = { show, closed: true };
    const closed = await mongo.collection<{ show: string }>('boxes').countDocuments(filter);
    if (closed > 0) refuse(`${show} is closed`);
  },
  postgres: {
    apply: async ({ client, input: { id, show }, refuse }) => {
      const sql = 'update show set seats = seats - 1 where name = $1 and seats > 0';
      if ((await client.query(sql, [show])).rowCount === 0) return refuse(`${show} is sold out`);
      await client.query('insert into booking (id, show) values ($1, $2)', [id, show]);
      return { show };
    },
    undo: async ({ client, input: { id, show } }) => {
      await client.query('delete from booking where id = $1', [id]);
      await client.query('update show set seats = seats + 1 where name = $1', [show]);
    },
  },
  mongo: { project: ({ id }) => [tickets.document(id)] },
});

export async function prepareShows(world: World): Promise<void> {
  await world.postgres.query(/*sql*/ `
    create table show (name text primary key, seats int not null check (seats >= 0));
    create table booking (id text primary key, show text not null)`);
}

export async function showOf(world: World, seats: number): Promise<string> {
  const show = randomUUID();
  await world.postgres.query('insert into show (name, seats) values ($1, $2)', [show, seats]);
  return show;
}

export async function seatsOf(world: World, show: string): Promise<number | undefined> {
  const { rows } = await world.postgres.query<{ seats: number }>(
    'select seats from show where name = $1',
    [show],
  );
  return rows[0]?.seats;
}
