import { defineCrossStoreUpdate, defineProjection, type PostgresLeg } from 'twinwrite';
import { z } from 'zod';
import type { World } from './world';

/**
 * Effects that would show if they happened twice: rows and documents with ids of their own, and
 * counters. An undo adds one as well, so that it is counted too.
 */

/** The places at which a test may hold a leg, or break what is around it. */
export type Point =
  | 'input parsed'
  | 'inside apply'
  | 'inside undo'
  | 'image read'
  | 'mongo: claimed'
  | 'mongo: written'
  | 'mongo: undone';

export type At = (point: Point, id: string) => Promise<void> | void;

export interface CountedOptions {
  readonly name?: string;
  readonly legTimeoutMillis?: number;
  readonly at?: At;
}

export interface Effects {
  readonly applied: number;
  readonly undone: number;
}

interface Effect {
  readonly of: string;
  readonly kind: 'apply' | 'undo';
}

export async function prepareEffects(world: World): Promise<void> {
  await world.postgres.query(/*sql*/ `
    create table effect (number bigserial primary key, id text not null, kind text not null, refused boolean not null)`);
  await world.mongo.db().createCollection('projected', { validator: { refused: { $ne: true } } });
  for (const name of ['effects', 'counters']) await world.mongo.db().createCollection(name);
}

function inputSchema(at: At) {
  return z
    .strictObject({
      id: z.string(),
      refusedBy: z.enum(['postgres', 'mongo']).optional(),
    })
    .refine(async ({ id }) => {
      await at('input parsed', id);
      return true;
    });
}

type Input = z.output<ReturnType<typeof inputSchema>>;

function postgresLeg(at: At): PostgresLeg<Input, { id: string }> {
  const add = /*sql*/ `insert into effect (id, kind, refused) values ($1, $2, $3)`;
  return {
    apply: async ({ client, input: { id, refusedBy }, refuse }) => {
      await client.query(add, [id, 'apply', refusedBy === 'mongo']);
      await at('inside apply', id);
      if (refusedBy === 'postgres') refuse('by the test');
      return { id };
    },
    undo: async ({ client, input: { id } }) => {
      await client.query(add, [id, 'undo', false]);
      await at('inside undo', id);
    },
  };
}

export function countedProjection({
  name,
  legTimeoutMillis = 1_000,
  at = () => {},
}: CountedOptions = {}) {
  const projected = defineProjection({
    collection: 'projected',
    image: async ({ postgres, ids }) => {
      const { rows } = await postgres.query<{ id: string } & Effects & { refused: boolean }>(
        /*sql*/ `select id, count(*) filter (where kind = 'apply')::int as applied, count(*) filter (where kind = 'undo')::int as undone,
            bool_or(refused) and not bool_or(kind = 'undo') as refused
          from effect where id = any($1) group by id`,
        [ids],
      );
      for (const id of ids) await at('image read', id);
      return rows.map(({ id, ...image }) => ({ _id: id, ...image }));
    },
  });
  return defineCrossStoreUpdate({
    name: name ?? 'countedProjection',
    legTimeoutMillis,
    input: inputSchema(at),
    token: ({ id }) => id,
    postgres: postgresLeg(at),
    mongo: { project: ({ id }) => [projected.document(id)] },
  });
}

export function countedTransaction({
  name,
  legTimeoutMillis = 1_000,
  at = () => {},
}: CountedOptions = {}) {
  return defineCrossStoreUpdate({
    name: name ?? 'countedTransaction',
    legTimeoutMillis,
    input: inputSchema(at),
    token: ({ id }) => id,
    postgres: postgresLeg(at),
    mongo: {
      transaction: {
        apply: async ({ db, session, input: { id, refusedBy }, refuse }) => {
          await at('mongo: claimed', id);
          await db.collection<Effect>('effects').insertOne({ of: id, kind: 'apply' }, { session });
          await db
            .collection<{ _id: string }>('counters')
            .updateOne({ _id: id }, { $inc: { times: 1 } }, { upsert: true, session });
          await at('mongo: written', id);
          if (refusedBy === 'mongo') refuse('by the test');
        },
        undo: async ({ db, session, input: { id } }) => {
          await db.collection<Effect>('effects').insertOne({ of: id, kind: 'undo' }, { session });
          await at('mongo: undone', id);
        },
      },
    },
  });
}

export type Counted = ReturnType<typeof countedProjection>;

/** What there is of an update in each store, whichever its form. */
export async function effectsOf(
  world: World,
  { form }: Counted,
  id: string,
): Promise<{ postgres: Effects; mongo: Effects }> {
  const { rows } = await world.postgres.query<{ kind: string }>(
    'select kind from effect where id = $1',
    [id],
  );
  const mongo = form === 'projection' ? await projectedEffects(world, id) : await added(world, id);
  return { postgres: tally(rows), mongo };
}

async function projectedEffects(world: World, id: string): Promise<Effects> {
  const found = await world.mongo
    .db()
    .collection<Effects & { _id: string }>('projected')
    .findOne({ _id: id }, { readConcern: 'majority' });
  return { applied: found?.applied ?? 0, undone: found?.undone ?? 0 };
}

async function added(world: World, id: string): Promise<Effects> {
  const db = world.mongo.db();
  const effects = await db.collection<Effect>('effects').find({ of: id }).toArray();
  const counter = await db
    .collection<{ _id: string; times: number }>('counters')
    .findOne({ _id: id });
  const counted = tally(effects);
  if (counted.applied !== (counter?.times ?? 0)) {
    throw new Error(`${id}: ${counted.applied} documents, and the counter says ${counter?.times}`);
  }
  return counted;
}

function tally(effects: readonly { readonly kind: string }[]): Effects {
  const count = (kind: string) => effects.filter((effect) => effect.kind === kind).length;
  return { applied: count('apply'), undone: count('undo') };
}
