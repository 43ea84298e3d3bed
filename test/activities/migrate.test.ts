/**
 * Goal: migrations run on a live system, any number of times, and touch only what is Twinwrite's.
 */
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import {
  migrateMongo,
  pendingMigrations as pendingMongo,
} from '../../src/activities/mongo/migrate';
import {
  migratePostgres,
  pendingMigrations as pendingPostgres,
} from '../../src/activities/postgres/migrate';
import { openWorld, type World } from '../support/world';

describe('migrations', () => {
  let world: World;

  beforeAll(async () => {
    world = await openWorld();
  });

  afterAll(async () => {
    await world.close();
  });

  test('five migrators at once leave each migration applied once', async () => {
    await world.postgres.query('drop schema twinwrite cascade');
    const runs = await Promise.all(
      Array.from({ length: 5 }, () => migratePostgres(world.postgres)),
    );
    expect(runs.flat().map(({ name }) => name)).toEqual([
      'ledger',
      'queue',
      'protocol',
      'views',
      'janitor',
      'epochs',
      'outbox',
      'guards',
      'explorer-findings',
      'interventions',
    ]);
    expect(await pendingPostgres(world.postgres)).toEqual([]);
  });

  test('a migration that fails leaves nothing of itself', async () => {
    await world.postgres.query(
      'drop schema twinwrite cascade; create schema twinwrite; create table twinwrite.entity ()',
    );
    await expect(migratePostgres(world.postgres)).rejects.toMatchObject({ code: '42P07' });
    const left = await world.postgres.query(`select to_regclass('twinwrite.ledger') as ledger`);
    expect(left.rows[0]).toEqual({ ledger: null });
    await world.postgres.query('drop schema twinwrite cascade');
    await migratePostgres(world.postgres);
  });

  test('MongoDB: five at once, and again, leave the same', async () => {
    const mongo = world.mongo.db(`${world.name}_${randomUUID().slice(0, 4)}`);
    await Promise.all(Array.from({ length: 5 }, () => migrateMongo(mongo)));
    expect(await pendingMongo(mongo)).toEqual([]);
    expect(await migrateMongo(mongo)).toEqual([]);
    const collections = await mongo.listCollections().toArray();
    expect(collections.map(({ name }) => name).sort()).toEqual([
      'twinwrite_ledger',
      'twinwrite_store',
      'twinwrite_transactions',
    ]);
    await mongo.dropDatabase();
  });
});
