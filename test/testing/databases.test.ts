/**
 * Goal: a check leaves both databases as it found them, whatever is in them, and runs on none that
 * is not for it. Method: tables and documents of every awkward kind, changed by a right definition
 * whose rows and documents are full of clocks and random keys, and compared before and after.
 */
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { Binary, Decimal128, Long, MongoClient } from 'mongodb';
import { Pool } from 'pg';
import { type CrossStoreUpdate, defineCrossStoreUpdate } from 'twinwrite';
import { type CheckOptions, checkDefinition } from 'twinwrite/testing';
import { z } from 'zod';
import { openWorld, type World } from '../support/world';
import { ANN, BOB, check, prepareBank } from './bank';

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

const visitThing = defineCrossStoreUpdate({
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

let world: World;
let options: CheckOptions<{ id: string; text: string }>;

beforeAll(async () => {
  world = await openWorld();
  const { postgres, mongo } = world;
  await prepareBank(postgres);
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
  const [first, second] = ['a', 'b'].map((text) => ({ id: randomUUID(), text }));
  options = {
    inputs: [first, second] as CheckOptions<{ id: string; text: string }>['inputs'],
    postgres,
    mongo,
  };
});

afterAll(async () => {
  await world.close();
});

/** Every row and document with everything that is in it, sequences and ledgers included. */
async function everything(): Promise<string[]> {
  const { postgres, mongo } = world;
  const { rows: relations } = await postgres.query<{ name: string; kind: string }>(
    `select c.oid::regclass::text as name, relkind as kind from pg_class c join pg_namespace n on n.oid = relnamespace
      where relkind in ('r', 'S') and nspname !~ '^(pg_|information_schema)' and relname not in ('store', 'ticket') order by 1`,
  );
  const lines: string[] = [];
  for (const { name, kind } of relations) {
    const text = kind === 'S' ? `last_value || ' ' || is_called` : 't::text';
    const { rows } = await postgres.query<{ text: string }>(
      `select ${text} as text from ${name} t order by 1`,
    );
    lines.push(...rows.map((row) => `${name}: ${row.text}`));
  }
  const collections = await mongo.db().listCollections().toArray();
  for (const { name } of collections.filter((one) => !/_(store|transactions)$/.test(one.name))) {
    const documents = await mongo
      .db()
      .collection(name)
      .find({}, { raw: true })
      .sort({ _id: 1 })
      .toArray();
    lines.push(
      ...documents.map((bytes) => `${name}: ${(bytes as unknown as Buffer).toString('hex')}`),
    );
  }
  return lines;
}

describe('both databases', () => {
  test('are what they were, after a check of a right definition with clocks and random keys', async () => {
    const before = await everything();
    const report = await checkDefinition(visitThing, {
      ...options,
      refused: [{ id: randomUUID(), text: '' }, { id: 'x', text: 1 }, { id: 1n }],
    });
    expect(report).toEqual({
      definition: 'visitThing',
      samples: [
        { sample: 'inputs[0]', outcome: 'applied', faults: expect.any(Number) },
        { sample: 'inputs[1]', outcome: 'applied', faults: expect.any(Number) },
        { sample: 'refused[0]', outcome: 'refused', faults: expect.any(Number) },
        { sample: 'refused[1]', outcome: 'invalid', faults: 0 },
        { sample: 'refused[2]', outcome: 'invalid', faults: 0 },
      ],
      unchecked: [],
    });
    // Five statements, six commits of which each is cut before and after; and their way back.
    expect(report.samples[0]?.faults).toBeGreaterThan(15);
    expect(await everything()).toEqual(before);
  });

  test('are what they were, after a check that found something', async () => {
    const before = await everything();
    const undo = async () => {};
    const wrong = { ...visitThing, postgres: { ...visitThing.postgres, undo } };
    await expect(checkDefinition(wrong as typeof visitThing, options)).rejects.toMatchObject({
      code: 'UnsoundDefinition',
    });
    expect(await everything()).toEqual(before);
  });

  test('are one check at a time', async () => {
    const before = await everything();
    const reports = await Promise.all([
      check(world, {}, { inputs: [ANN] }),
      check(world, {}, { inputs: [BOB] }),
    ]);
    expect(reports.map(({ unchecked }) => unchecked)).toEqual([
      [
        'images read together: there is one sample that is applied',
        'refusals: no sample is refused',
      ],
      [
        'images read together: there is one sample that is applied',
        'refusals: no sample is refused',
      ],
    ]);
    expect(await everything()).toEqual(before);
  });
});

describe('databases and options that are not for a check', () => {
  const refusal = async (changes: object, definition: unknown = visitThing): Promise<string> => {
    const all = { ...options, ...changes };
    const checking = checkDefinition(definition as CrossStoreUpdate, all as CheckOptions);
    const error = await checking.then(
      () => undefined,
      (thrown: Error & { code?: string }) => thrown,
    );
    expect(error?.code).toBe('InvalidConfiguration');
    return error?.message ?? '';
  };

  test('one whose name does not say that it is for tests is named by hand', async () => {
    const mongo = new MongoClient(world.mongoUri.replace(world.name, 'shop'));
    try {
      expect(await refusal({ mongo })).toBe(
        'checkDefinition writes to the databases that it is given, and the name of "shop" (MongoDB) does not say that it is for tests. Give it a database with "test" in its name, or name this one: mayOverwrite: ["shop"].',
      );
      // Named, it is gone into: as far as to the token.
      await world.postgres.query(`select twinwrite.refuse('visitThing', 'known', '1', '{}')`);
      const inputs = [{ id: 'known', text: 'a' }];
      expect(await refusal({ mongo, mayOverwrite: ['shop'], inputs })).toContain(
        'The token "known" of inputs[0] is in the ledger of this database',
      );
    } finally {
      await mongo.db().dropDatabase();
      await mongo.close();
      await world.postgres.query(`delete from twinwrite.ledger where token = 'known'`);
    }
  });

  test('one with many rows', async () => {
    await world.postgres.query(`insert into unkeyed select 'many' from generate_series(1, 10001)`);
    expect(await refusal({})).toMatch(/^PostgreSQL holds more than 10000 rows or documents\./);
    await world.postgres.query(`delete from unkeyed where text = 'many'`);
  });

  test('one with updates in flight', async () => {
    await world.postgres.query(
      `insert into twinwrite.pending (ticket, stage, definition, tokens, workflow, form, undoable, entities, documents, due)
        values (1, 'forward', 'x', '{}', 'w', 'projection', false, '{}', '{}', now())`,
    );
    expect(await refusal({})).toMatch(/^1 updates are in flight in this database/);
    await world.postgres.query('delete from twinwrite.pending where ticket = 1');
  });

  test('a role that may not put rows back without their triggers', async () => {
    const role = `test_${randomUUID().slice(0, 8)}`;
    const { postgres } = world;
    await postgres.query(`create role ${role}`);
    const limited = new Pool({ connectionString: world.postgresUrl, options: `-c role=${role}` });
    try {
      await postgres.query(`grant all on all tables in schema public, twinwrite to ${role}`);
      await postgres.query(`grant all on all sequences in schema public, twinwrite to ${role}`);
      await postgres.query(`grant all on schema public, twinwrite to ${role}`);
      await postgres.query(`grant create on database ${world.name} to ${role}`);
      expect(await refusal({ postgres: limited })).toMatch(
        /^checkDefinition puts rows back without running triggers, for which its role must be a superuser/,
      );
    } finally {
      await limited.end();
      await postgres.query(`drop owned by ${role}; drop role ${role}`);
    }
  });

  test.each([
    ['no sample', { inputs: [] }, 'checkDefinition needs at least one sample that is applied'],
    ['no list', { refused: 'none' }, '`refused` is a list, or left out.'],
    ['no pool', { postgres: undefined }, '`postgres` is a Pool of pg.'],
    [
      'a small pool',
      { postgres: new Pool({ max: 2 }) },
      '`postgres` is a pool of at least 3 connections',
    ],
    ['no client', { mongo: {} }, '`mongo` is a MongoClient.'],
    [
      'something given that is refused',
      { given: [{ update: visitThing, input: { id: 'g', text: '' } }] },
      'given[0] (visitThing) is not applied: it was refused: a note says something.',
    ],
  ])('%s', async (_, changes, message) => {
    expect(await refusal(changes)).toContain(message);
  });

  test('what is no definition', async () => {
    expect(await refusal({}, { name: 'x' })).toBe(
      'checkDefinition takes what defineCrossStoreUpdate returned.',
    );
  });
});
