/**
 * Goal: what the caller's `execute` is asked, and what it has to answer, is one statement that any
 * driver can send. Method: the statement on a real server, and answers of every shape.
 */
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { Client } from 'pg';
import {
  defineCrossStoreUpdate,
  type Execute,
  submitInTransaction,
  submitManyInTransaction,
} from 'twinwrite';
import { z } from 'zod';
import { countedProjection } from '../support/counted-definitions';
import { eventually } from '../support/eventually';
import { openWorld, type World } from '../support/world';
import { counted, enlistedRows, inOwnTransaction } from './enlisting';

describe('the statement that enlists', () => {
  const options = { taskQueue: 'nobody' };
  let world: World;

  beforeAll(async () => {
    world = await openWorld();
  });

  afterAll(async () => {
    await world.close();
  });

  const named = () => countedProjection({ name: `d${randomUUID().slice(0, 8)}` });
  const execute: Execute = (sql, parameters) => world.postgres.query(sql, parameters);

  test('is not sent for an input that cannot be, or a token that cannot', async () => {
    const definition = named();
    const sent: string[] = [];
    const record = async (sql: string) => sent.push(sql);
    const invalid = { id: 7 } as never;
    await expect(submitInTransaction(record, definition, invalid)).rejects.toMatchObject({
      code: 'InvalidInput',
    });
    const many = submitManyInTransaction(record, definition, [counted(), invalid]);
    await expect(many).rejects.toMatchObject({ code: 'InvalidInput' });
    await expect(
      submitInTransaction(record, definition, counted(), { token: 'a\nb' }),
    ).rejects.toMatchObject({ code: 'InvalidInput' });
    expect(await submitManyInTransaction(record, definition, [])).toEqual([]);
    expect(sent).toEqual([]);
  });

  test.each([
    ['nothing', undefined],
    ['a count, as Prisma’s $executeRaw does', 1],
    ['no rows', { rows: [] }],
    ['rows and something else, as Sequelize does', [[{ answer: '[]' }], 1]],
  ])('an `execute` that answers %s is told what to answer', async (_name, answer) => {
    const enlisting = submitInTransaction(async () => answer, named(), counted(), options);
    await expect(enlisting).rejects.toMatchObject({ code: 'InvalidConfiguration' });
    await expect(enlisting).rejects.toThrow(/rows/);
  });

  test('may answer rows as arrays as well as objects', async () => {
    const definition = named();
    const input = counted();
    const asArrays = (sql: string, values: [string]) =>
      world.postgres.query({ text: sql, values, rowMode: 'array' });
    expect(await submitInTransaction(asArrays, definition, input, options)).toMatchObject({
      token: input.id,
    });
    expect(await enlistedRows(world.postgres, definition)).toMatchObject([{ token: input.id }]);
  });

  test('asks little of the role that sends it', async () => {
    const definition = named();
    const role = `${world.name}_application`;
    const input = counted();
    await inOwnTransaction(world.postgres, async (own, client) => {
      await client.query(`
        create role ${role};
        grant usage on schema twinwrite to ${role};
        grant select, insert, delete on twinwrite.outbox to ${role};
        grant select on twinwrite.ledger to ${role};
        set local role ${role}`);
      await submitInTransaction(own, definition, input, options);
      await expect(
        submitInTransaction(own, definition, { ...input, refusedBy: 'mongo' }, options),
      ).rejects.toMatchObject({ code: 'TokenReused' });
    });
    await world.postgres.query(`drop owned by ${role}; drop role ${role}`);
    expect(await enlistedRows(world.postgres, definition)).toMatchObject([{ token: input.id }]);
  });

  test('F33: notifies only where it enlists something new', async () => {
    const definition = named();
    const input = counted();
    const listener = new Client({ connectionString: world.postgresUrl });
    const heard: unknown[] = [];
    listener.on('notification', ({ payload }) => heard.push(payload));
    await listener.connect();
    await listener.query('listen twinwrite_outbox');
    try {
      const notifying = { taskQueue: definition.name };
      await submitInTransaction(execute, definition, input, notifying);
      await submitInTransaction(execute, definition, input, notifying);
      await submitInTransaction(
        execute,
        definition,
        { ...input, refusedBy: 'mongo' },
        notifying,
      ).catch(() => {});
      await submitManyInTransaction(execute, definition, [counted(), counted()], notifying);
      await eventually(() => heard.length >= 2 || undefined, 'both are heard');
      // Notifications arrive before the answer of a later statement.
      await listener.query('select 1');
    } finally {
      await listener.end();
    }
    expect(heard).toEqual([definition.name, definition.name]);
  });

  test('keeps what JSON knows as it was given: null, the order of keys, numbers', async () => {
    const anything = defineCrossStoreUpdate({
      name: `d${randomUUID().slice(0, 8)}`,
      input: z.json(),
      token: () => 'one',
      postgres: { apply: async () => {} },
      mongo: { project: () => [] },
    });
    const inputs = [null, [], { b: 1e-7, a: { z: 'é\u2028"', y: 0.1 } }];
    for (const [index, input] of inputs.entries()) {
      const token = `t${index}`;
      await submitInTransaction(execute, anything, input, { ...options, token });
    }
    const { rows } = await world.postgres.query<{ input: string }>(
      'select input::text from twinwrite.outbox where definition = $1 order by id',
      [anything.name],
    );
    expect(rows.map(({ input }) => input)).toEqual(inputs.map((input) => JSON.stringify(input)));
  });
});
