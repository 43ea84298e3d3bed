/**
 * Goal: a log tells what went wrong and never what was in a row. Method: real errors of the real
 * drivers, printed through an application's own logger.
 */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import pino from 'pino';
import { withSafeErrors } from '../../src/worker/logger';
import { openWorld, type World } from '../support/world';

const SECRET = 'ada@example.org';

describe('errors in logs', () => {
  let world: World;

  beforeAll(async () => {
    world = await openWorld();
    await world.postgres.query('create table person (email text primary key, age int)');
    await world.postgres.query('insert into person values ($1, 36)', [SECRET]);
    await world.mongo.db().collection('people').createIndex({ email: 1 }, { unique: true });
    await world.mongo.db().collection('people').insertOne({ email: SECRET });
  });

  afterAll(async () => {
    await world.close();
  });

  const printed = (error: unknown, fields: object = {}) => {
    let text = '';
    const logger = pino({ base: null }, { write: (line: string) => void (text += line) });
    withSafeErrors(logger).error({ err: error, ...fields }, 'failed');
    return text;
  };

  const errorOf = async (work: Promise<unknown>) =>
    await work.then(
      () => {
        throw new Error('it did not fail');
      },
      (error: unknown) => error as Error,
    );

  test('PostgreSQL: the SQLSTATE and the constraint, not the row', async () => {
    const error = await errorOf(
      world.postgres.query('insert into person values ($1, 36)', [SECRET]),
    );
    const text = printed(error);
    expect(text).not.toContain(SECRET);
    expect(JSON.parse(text)).toMatchObject({
      err: { type: 'DatabaseError', code: '23505', constraint: 'person_pkey' },
    });
  });

  test('PostgreSQL: a value in the message itself is not told either', async () => {
    const error = await errorOf(world.postgres.query('select $1::int', [SECRET]));
    expect(error.message).toContain(SECRET);
    expect(printed(error)).not.toContain(SECRET);
  });

  test('MongoDB: the code and the index, not the document', async () => {
    const error = await errorOf(world.mongo.db().collection('people').insertOne({ email: SECRET }));
    const text = printed(error);
    expect(text).not.toContain(SECRET);
    expect(JSON.parse(text)).toMatchObject({
      err: { type: 'MongoServerError', code: '11000', constraint: 'email' },
    });
  });

  test('a store’s error inside another error is told as carefully', async () => {
    const cause = await errorOf(world.postgres.query('select $1::int', [SECRET]));
    const text = printed(new Error('the leg took too long', { cause }));
    expect(text).not.toContain(SECRET);
    expect(JSON.parse(text)).toMatchObject({
      err: { message: 'the leg took too long', cause: { code: '22P02' } },
    });
  });

  test('an error of the application keeps its message and where it was thrown', () => {
    const line = JSON.parse(printed(new RangeError('three legs are enough'))) as {
      err: { at: string[] };
    };
    expect(line).toMatchObject({ err: { type: 'RangeError', message: 'three legs are enough' } });
    expect(line.err.at[0]).toContain('logger.test.ts');
  });
});
