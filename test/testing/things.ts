import { Binary, Decimal128, Long } from 'mongodb';
import { defineCrossStoreUpdate } from 'twinwrite';
import { z } from 'zod';
import type { World } from '../support/world';

/** Tables and documents of every awkward kind, and an update with clocks and random keys. */

const TABLES = `
  create type mood as enum ('fine', 'bad');
  create table left_side (id int primary key);
  create table right_side (id int primary key references left_side);
  alter table left_side add foreign key (id) references right_side;
  create table thing (
    id uuid primary key, left_id int not null references left_side, count int not null default 0, doubled int generated always as (count * 2) stored,
    amount numeric(20, 6), float double precision, bytes bytea, document jsonb, moods mood[], code char(5), "Odd ""name" text,
    at timestamptz, span interval, range int4range);
  create table visit (number bigint generated always as identity primary key, thing uuid references thing, at timestamptz not null default now());
  create table note (id uuid primary key default gen_random_uuid(), visit bigint references visit, text text);
  create table unkeyed (text text);
  create function refuse_delete() returns trigger language plpgsql as $$ begin raise exception 'nothing is deleted here'; end $$;
  create trigger keep before delete on thing for each row execute function refuse_delete();
  begin;
  set local session_replication_role = replica;
  insert into left_side values (1);
  insert into right_side values (1);
  commit;
  insert into unkeyed values ('twice'), ('twice'), (null);`;

const THING = '8d2bd45c-05a8-4b3f-a6f5-1d1f0d6b7b52';

export const visitThing = defineCrossStoreUpdate({
  name: 'visitThing',
  input: z.strictObject({ id: z.string(), text: z.string() }),
  token: ({ id }) => id,
  entities: () => [`thing:${THING}`],
  postgres: {
    apply: async ({ client, input, refuse }) => {
      if (input.text === '') return refuse('a note says something');
      const visits = await client.query<{ number: string }>(
        'insert into visit (thing) values ($1) returning number',
        [THING],
      );
      const visit = visits.rows[0]?.number ?? '';
      await client.query('update thing set count = count + 1 where id = $1', [THING]);
      await client.query('insert into note (visit, text) values ($1, $2)', [visit, input.text]);
      await client.query(`insert into unkeyed values ('twice')`);
      return { visit, at: new Date().toISOString() };
    },
    undo: async ({ client, result }) => {
      await client.query('delete from note where visit = $1', [result.visit]);
      await client.query('delete from visit where number = $1', [result.visit]);
      await client.query('update thing set count = count - 1 where id = $1', [THING]);
      await client.query(
        `delete from unkeyed where ctid = (select ctid from unkeyed where text = 'twice' limit 1)`,
      );
    },
  },
  mongo: {
    transaction: {
      apply: async ({ db, session, input, result }) => {
        const visit = { of: input.id, visit: result.visit, at: new Date() };
        await db.collection('visits').insertOne(visit, { session });
        await db
          .collection('things')
          .updateOne({ name: 'thing' }, { $inc: { count: 1 } }, { session });
      },
      undo: async ({ db, session, input }) => {
        await db.collection('visits').deleteOne({ of: input.id }, { session });
        await db
          .collection('things')
          .updateOne({ name: 'thing' }, { $inc: { count: -1 } }, { session });
      },
    },
  },
});

export async function prepareThings({ postgres, mongo }: World): Promise<void> {
  await postgres.query(TABLES);
  await postgres.query(
    `insert into thing values ($1, 1, 3, default, 12345678901234.000100, 0.1, '\\x00ff', '{"b": 1, "a": [1.10]}', '{fine,bad}',
       'ab', 'odd', '2026-01-02 03:04:05.678901+00', '1 mon 2 days', '[1,5)')`,
    [THING],
  );
  await postgres.query('insert into visit (thing) values ($1)', [THING]);
  await mongo
    .db()
    .collection('things')
    .insertOne({
      name: 'thing',
      count: Long.fromNumber(7),
      price: Decimal128.fromString('1.10'),
      bytes: new Binary(Buffer.from([0, 255])),
      pattern: /^a/i,
      at: new Date(0),
      nested: { list: [1, { two: 2.5 }, null], empty: {} },
    });
}
