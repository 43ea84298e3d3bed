/**
 * Goal: an update is enlisted through whatever the application has for PostgreSQL. Method: pg,
 * Drizzle, Kysely and Prisma as they are, each with a transaction of its own that also writes a row
 * of the application's.
 */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { sql } from 'drizzle-orm';
import { drizzle } from 'drizzle-orm/node-postgres';
import { CompiledQuery, Kysely, PostgresDialect } from 'kysely';
import { Pool } from 'pg';
import { type Execute, submitInTransaction, submitManyInTransaction } from 'twinwrite';
import { countedProjection } from '../support/counted-definitions';
import { openWorld, type World } from '../support/world';
import { counted, enlistedRows, inOwnTransaction } from './enlisting';
import { connectPrisma, type PrismaClient } from './fixtures/prisma-client';

type Work = (execute: Execute) => Promise<unknown>;

interface Driver {
  readonly driver: string;
  /** Runs a transaction that adds a note of the application's, and does the work. */
  readonly transaction: (work: Work, note: string) => Promise<unknown>;
}

const NOTE = `insert into note (id) values ($1)`;

describe('submitInTransaction', () => {
  const options = { taskQueue: 'nobody' };
  let world: World;
  let pool: Pool;
  let kysely: Kysely<unknown>;
  let prisma: PrismaClient;

  beforeAll(async () => {
    world = await openWorld();
    await world.postgres.query('create table note (id text primary key)');
    const connection = { connectionString: world.postgresUrl, max: 4 };
    pool = new Pool(connection);
    kysely = new Kysely({ dialect: new PostgresDialect({ pool: new Pool(connection) }) });
    prisma = connectPrisma(world.postgresUrl);
  });

  afterAll(async () => {
    await prisma.$disconnect();
    await kysely.destroy();
    await pool.end();
    await world.close();
  });

  const drivers: readonly Driver[] = [
    {
      driver: 'pg',
      transaction: (work, note) =>
        inOwnTransaction(pool, async (execute, client) => {
          await client.query(NOTE, [note]);
          await work(execute);
        }),
    },
    {
      driver: 'Drizzle',
      transaction: (work, note) =>
        drizzle(pool).transaction(async (transaction) => {
          await transaction.execute(sql`insert into note (id) values (${note})`);
          await work((text, [start]) => {
            const [before = '', after = ''] = text.split('$1');
            return transaction.execute(
              sql.raw(before).append(sql`${start}`).append(sql.raw(after)),
            );
          });
        }),
    },
    {
      driver: 'Kysely',
      transaction: (work, note) =>
        kysely.transaction().execute(async (transaction) => {
          await transaction.executeQuery(CompiledQuery.raw(NOTE, [note]));
          await work((text, parameters) =>
            transaction.executeQuery(CompiledQuery.raw(text, parameters)),
          );
        }),
    },
    {
      driver: 'Prisma',
      transaction: (work, note) =>
        prisma.$transaction(async (transaction) => {
          await transaction.$queryRawUnsafe(NOTE, note);
          await work((text, parameters) => transaction.$queryRawUnsafe(text, ...parameters));
        }),
    },
  ];

  const hasNote = async (note: string) =>
    (await world.postgres.query('select 1 from note where id = $1', [note])).rowCount === 1;

  describe.each(drivers)('through $driver', ({ driver, transaction }) => {
    const definition = countedProjection({ name: `enlistedBy${driver}` });

    test('is committed with the transaction, or rolled back with it', async () => {
      const [rolledBack, committed] = [counted(), counted()];
      await expect(
        transaction(async (execute) => {
          await submitInTransaction(execute, definition, rolledBack, options);
          throw new Error('the application changed its mind');
        }, rolledBack.id),
      ).rejects.toThrow('changed its mind');
      await transaction(async (execute) => {
        const enlisted = await submitInTransaction(execute, definition, committed, options);
        expect(enlisted).toEqual({ definition: definition.name, token: committed.id });
      }, committed.id);
      const rows = await enlistedRows(world.postgres, definition);
      expect(rows.map(({ token }) => token)).toEqual([committed.id]);
      expect([await hasNote(rolledBack.id), await hasNote(committed.id)]).toEqual([false, true]);
    });

    test('a token with another input is TokenReused, and leaves the transaction usable', async () => {
      const { id } = counted();
      const fresh = counted();
      await transaction(async (execute) => {
        await submitInTransaction(execute, definition, { id }, options);
        const reusing = submitManyInTransaction(
          execute,
          definition,
          [fresh, { id, refusedBy: 'mongo' }],
          options,
        );
        await expect(reusing).rejects.toMatchObject({ code: 'TokenReused', token: id });
      }, id);
      const rows = await enlistedRows(world.postgres, definition);
      expect(rows.map(({ token }) => token)).toContain(id);
      expect(rows.map(({ token }) => token)).not.toContain(fresh.id);
    });
  });
});
