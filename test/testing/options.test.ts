/**
 * Goal: a check runs on no database that is not for it, and says what is wrong with its options.
 * Method: each of them wrong in one way, on the real stores.
 */
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { MongoClient } from 'mongodb';
import { Pool } from 'pg';
import type { CrossStoreUpdate } from 'twinwrite';
import { type CheckOptions, checkDefinition } from 'twinwrite/testing';
import { assertMayOverwrite } from '../../src/testing/options';
import { openWorld, type World } from '../support/world';
import { prepareThings, visitThing } from './things';

let world: World;
let options: CheckOptions<{ id: string; text: string }>;

beforeAll(async () => {
  world = await openWorld();
  await prepareThings(world);
  const { postgres, mongo } = world;
  options = { inputs: [{ id: randomUUID(), text: 'a' }], postgres, mongo };
});

afterAll(async () => {
  await world.close();
});

describe('databases and options that are not for a check', () => {
  const refusal = async (changes: object, definition: unknown = visitThing): Promise<string> => {
    const all = { ...options, ...changes };
    const checking = checkDefinition(definition as CrossStoreUpdate, all);
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
        'checkDefinition writes to the databases that it is given, and the name of "shop" (MongoDB) does not say that it is for tests. Give it one that is called test, or shop_test, or name this one: mayOverwrite: ["shop"].',
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

  test.each(['latest', 'contest-2', 'production'])('%s is not for tests', (PostgreSQL) => {
    expect(() => assertMayOverwrite({ PostgreSQL, MongoDB: 'shop_test' })).toThrow(PostgreSQL);
  });

  test.each(['test', 'testdb', 'shop_test', 'shop-TEST', 'shopTest2'])('%s is', (PostgreSQL) => {
    expect(() => assertMayOverwrite({ PostgreSQL, MongoDB: 'shop_test' })).not.toThrow();
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
