/**
 * Goal: a right definition passes, however unusual it is: a check that cries wolf is switched off.
 * Method: definitions with tombstones, owned fields, several documents, savepoints, partitions and
 * deferred constraints, on the real stores.
 */
import { afterAll, beforeAll, beforeEach, expect, test } from '@jest/globals';
import { defineCrossStoreUpdate, defineProjection } from 'twinwrite';
import { checkDefinition } from 'twinwrite/testing';
import { z } from 'zod';
import { openWorld, type World } from '../support/world';

let world: World;

beforeAll(async () => {
  world = await openWorld();
  await world.postgres.query(`
    create table member (id text not null, team text not null, place int not null, primary key (id, team)) partition by list (team);
    create table member_red partition of member for values in ('red');
    create table member_rest partition of member default;
    create table seat (place int, member text not null, constraint one_each unique (place) deferrable initially deferred);
    create table visit (member text, at timestamptz default clock_timestamp())`);
});

afterAll(async () => {
  await world.close();
});

beforeEach(async () => {
  await world.postgres.query(`
    truncate member, seat, visit;
    insert into member values ('ann', 'red', 1), ('bob', 'blue', 2);
    insert into seat values (1, 'ann'), (2, 'bob')`);
  await world.mongo.db().collection('members').deleteMany({});
});

const members = defineProjection({
  collection: 'members',
  owns: ['team', 'place'],
  image: async ({ postgres, ids }) => {
    const { rows } = await postgres.query<{ _id: string; team: string; place: number }>(
      'select id as _id, team, place from member where id = any($1)',
      [ids],
    );
    return rows.map((row) => ({ ...row }));
  },
});

const joining = z.strictObject({ id: z.string(), team: z.string() });

const show = defineCrossStoreUpdate({
  name: 'show',
  input: z.strictObject({ id: z.string() }),
  token: ({ id }) => id,
  postgres: { apply: async () => null },
  mongo: { project: ({ id }) => [members.document(id)] },
});

test('an update that deletes, and whose undo brings back', async () => {
  const leave = defineCrossStoreUpdate({
    name: 'leave',
    input: joining,
    token: ({ id }) => id,
    entities: ({ team }) => [`team:${team}`],
    postgres: {
      apply: async ({ client, input, refuse }) => {
        const { rows } = await client.query<{ place: number }>(
          'delete from member where id = $1 and team = $2 returning place',
          [input.id, input.team],
        );
        const member = rows[0];
        if (member === undefined) return refuse('there is no such member');
        return { place: member.place };
      },
      undo: async ({ client, input, result }) => {
        const values = [input.id, input.team, result.place];
        await client.query('insert into member values ($1, $2, $3)', values);
      },
    },
    mongo: { project: ({ id }) => [members.document(id)] },
  });
  const { postgres, mongo } = world;
  const report = await checkDefinition(leave, {
    inputs: [
      { id: 'ann', team: 'red' },
      { id: 'bob', team: 'blue' },
    ],
    refused: [{ id: 'eve', team: 'blue' }],
    given: ['ann', 'bob'].map((id) => ({ update: show, input: { id } })),
    postgres,
    mongo,
  });
  expect(report.samples.map(({ outcome }) => outcome)).toEqual(['applied', 'applied', 'refused']);
  expect(report.unchecked).toEqual([]);
});

test('an update of two documents that uses a savepoint and swaps unique values', async () => {
  const swap = defineCrossStoreUpdate({
    name: 'swap',
    input: z.strictObject({ id: z.string(), members: z.tuple([z.string(), z.string()]) }),
    token: ({ id }) => id,
    postgres: {
      apply: async ({ client, input }) => {
        await client.query('savepoint trial');
        await client.query('delete from seat');
        await client.query('rollback to savepoint trial');
        await client.query('update seat set place = 3 - place where member = any($1)', [
          input.members,
        ]);
        await client.query('update member set place = 3 - place where id = any($1)', [
          input.members,
        ]);
        await client.query('insert into visit (member) select unnest($1::text[])', [input.members]);
      },
      undo: async ({ client, input }) => {
        for (const table of [
          'seat set place = 3 - place where member',
          'member set place = 3 - place where id',
        ]) {
          await client.query(`update ${table} = any($1)`, [input.members]);
        }
        await client.query('delete from visit where member = any($1)', [input.members]);
      },
    },
    mongo: { project: (input) => input.members.map((id) => members.document(id)) },
  });
  const { postgres, mongo } = world;
  const report = await checkDefinition(swap, {
    inputs: [{ id: 'swap-1', members: ['ann', 'bob'] }],
    given: ['ann', 'bob'].map((id) => ({ update: show, input: { id } })),
    postgres,
    mongo,
  });
  expect(report.samples[0]?.outcome).toBe('applied');
});

test('an update of the transaction form that never goes back', async () => {
  const note = defineCrossStoreUpdate({
    name: 'note',
    input: joining,
    token: ({ id, team }) => `${id} ${team}`,
    postgres: {
      apply: async ({ client, input }) => {
        await client.query('insert into visit (member) values ($1)', [input.id]);
      },
    },
    mongo: {
      transaction: {
        apply: async ({ db, session, input }) => {
          const notes = db.collection('notes');
          await notes.insertMany([{ at: new Date(), ...input, id: input.id }, { of: input.id }], {
            session,
          });
          await notes.updateMany({ of: input.id }, { $inc: { count: 1 } }, { session });
          await notes.bulkWrite([{ deleteMany: { filter: { count: 99 } } }], { session });
        },
      },
    },
  });
  const { postgres, mongo } = world;
  const inputs = [{ id: 'ann', team: 'red' }];
  const report = await checkDefinition(note, { inputs, postgres, mongo });
  expect(report).toEqual({
    definition: 'note',
    // Four statements are cut once, and three commits before and after.
    samples: [{ sample: 'inputs[0]', outcome: 'applied', faults: expect.any(Number) }],
    unchecked: ['the undo: the definition has none', 'refusals: no sample is refused'],
  });
  expect(report.samples[0]?.faults).toBe(10);
});
