/**
 * Goal: migrations run on a live system: beside updates, beside other builds, and interrupted at any
 * moment. Method: databases of this file's own; the schema of the first migration with the
 * statements that its build sends, while the rest is applied; a migrator that is ended in its
 * middle.
 */
import { randomUUID } from 'node:crypto';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { Pool, type PoolClient } from 'pg';
import {
  migrateMongo,
  pendingMigrations as pendingMongo,
} from '../../src/activities/mongo/migrate';
import {
  BOOTSTRAP,
  migratePostgres,
  pendingMigrations as pendingPostgres,
} from '../../src/activities/postgres/migrate';
import { ledger as first } from '../../src/activities/postgres/migrations/0001-ledger';
import { prepareMarks, projectionMark, transactionMark } from '../collector/marks';
import { eventually } from '../support/eventually';
import { openWorld, type RunningWorker, type World } from '../support/world';

describe('migrations of a live system', () => {
  let world: World;
  const updates = [transactionMark(), projectionMark()];

  beforeAll(async () => {
    world = await openWorld();
    await prepareMarks(world);
  });

  afterAll(async () => {
    await world.close();
  });

  describe('PostgreSQL', () => {
    let postgres: Pool;
    let name: string;

    beforeEach(async () => {
      name = `${world.name}_${randomUUID().slice(0, 4)}`;
      await world.postgres.query(`create database ${name}`);
      const url = new URL(world.postgresUrl);
      url.pathname = `/${name}`;
      postgres = new Pool({ connectionString: url.toString(), max: 12, application_name: name });
      // A session that a test ends tells the pool as well.
      postgres.on('error', () => {});
    });

    afterEach(async () => {
      await postgres.end();
      await world.postgres.query(`drop database ${name} with (force)`);
    });

    const tables = async () =>
      (
        await postgres.query(
          `select relname from pg_class where relnamespace = 'twinwrite'::regnamespace and relkind in ('r', 'v') order by 1`,
        )
      ).rows.map((row) => row.relname);

    test('a migrator that is ended in its middle leaves nothing half applied, and the next one finishes', async () => {
      await postgres.query(BOOTSTRAP);
      const inTheWay = await postgres.connect();
      // Its statements have run by then, and its record waits.
      await inTheWay.query('begin; lock table twinwrite.migration in share mode');
      const migrating = migratePostgres(postgres).catch((error: unknown) => error);
      await eventually(async () => {
        const { rows } = await postgres.query(
          `select pid from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`,
        );
        return rows[0]?.pid as number | undefined;
      }, 'the migrator waits in its middle');
      await postgres.query(
        `select pg_terminate_backend(pid) from pg_locks join pg_database d on d.oid = database
          where d.datname = current_database() and locktype = 'advisory'`,
      );
      await inTheWay.query('rollback');
      inTheWay.release();
      expect(await migrating).toMatchObject({ code: '57P01' });
      expect(await tables()).toEqual(['migration']);
      await migratePostgres(postgres);
      expect(await pendingPostgres(postgres)).toEqual([]);
      expect(await tables()).toEqual(expect.arrayContaining(['ledger', 'pending', 'updates']));
    });

    test('what the build of the first migration sends goes on while the rest is applied', async () => {
      await applyFirst(postgres);
      const migrated = new AbortController();
      const tokens: string[] = [];
      const submit = async () => {
        while (!migrated.signal.aborted) {
          const token = randomUUID();
          tokens.push(token);
          await retried(() => runAsFirstBuild(postgres, token));
        }
      };
      const running = Promise.all(Array.from({ length: 6 }, submit));
      await eventually(() => tokens.length > 30 || undefined, 'updates are under way');
      try {
        await Promise.all([migratePostgres(postgres), migratePostgres(postgres)]);
      } finally {
        migrated.abort();
        await running;
      }
      await retried(() => runAsFirstBuild(postgres, 'after'));
      const { rows } = await postgres.query(
        'select state, count(*)::int from twinwrite.updates group by state',
      );
      expect(rows).toEqual([{ state: 'applied', count: tokens.length + 1 }]);
      expect(await pendingPostgres(postgres)).toEqual([]);
    });

    test('a migrator that waits for a long leg lets other legs pass', async () => {
      await applyFirst(postgres);
      const longLeg = await postgres.connect();
      await longLeg.query('begin');
      await claimAsFirstBuild(longLeg, 'long');
      let isDone = false;
      const migrating = migratePostgres(postgres).finally(() => (isDone = true));
      let waits = 0;
      try {
        await eventually(async () => {
          if (await isMigratorWaiting(postgres)) waits += 1;
          await runAsFirstBuild(postgres, randomUUID());
          return isDone || waits >= 3 || undefined;
        }, 'legs pass while the migrator waits');
      } finally {
        await longLeg.query('commit');
        longLeg.release();
        await migrating;
      }
      expect(await pendingPostgres(postgres)).toEqual([]);
    });
  });

  describe('beside a worker that began with a database newer than its build', () => {
    let worker: RunningWorker;

    beforeAll(async () => {
      await world.postgres.query(
        `insert into twinwrite.migration (version, name) values (9001, 'of a later build')`,
      );
      await storeOf(world).updateOne({ _id: 1 }, { $set: { migration: 9001 } });
      worker = await world.startWorker({ updates });
    });

    afterAll(async () => {
      await worker.stop();
    });

    test('a worker of an older build runs on with a newer database', async () => {
      for (const definition of updates) {
        const outcome = await world.twinwrite.execute(definition, { id: randomUUID() });
        expect(outcome).toMatchObject({ status: 'applied' });
      }
      // An older migrate changes nothing, and does not take the newer record back.
      expect(await migratePostgres(world.postgres)).toEqual([]);
      expect(await migrateMongo(world.mongo.db())).toEqual([]);
      expect(await storeOf(world).findOne({ _id: 1 })).toMatchObject({ migration: 9001 });
    });

    test('MongoDB: its steps run again beside updates of both forms, and fail none', async () => {
      const running = Promise.all(
        Array.from({ length: 6 }, () => updates)
          .flat()
          .map((definition) => world.twinwrite.execute(definition, { id: randomUUID() })),
      );
      const db = world.mongo.db();
      for (let round = 0; round < 5; round += 1) {
        await storeOf(world).updateOne({ _id: 1 }, { $set: { migration: 0 } });
        await Promise.all([migrateMongo(db), migrateMongo(db)]);
      }
      for (const { status } of await running) expect(status).toBe('applied');
      expect(await pendingMongo(db)).toEqual([]);
    });
  });

  test('a worker of a newer build refuses to start, and says what to do, for either store', async () => {
    const refused = async () =>
      await world.startWorker({ updates }).then(
        async (worker) => await worker.stop(),
        (error: unknown) => error,
      );
    const { rows } = await world.postgres.query(
      'delete from twinwrite.migration where version = 1 returning *',
    );
    expect(await refused()).toMatchObject({
      code: 'UnsuitableStore',
      message: expect.stringMatching(
        /^PostgreSQL .* lacks the migrations? .*; run "twinwrite migrate"/,
      ),
    });
    await world.postgres.query('insert into twinwrite.migration values ($1, $2, $3)', [
      rows[0].version,
      rows[0].name,
      rows[0].at,
    ]);
    await storeOf(world).updateOne({ _id: 1 }, { $set: { migration: 0 } });
    expect(await refused()).toMatchObject({
      code: 'UnsuitableStore',
      message: expect.stringMatching(
        /^MongoDB .* lacks the migrations? .*; run "twinwrite migrate"/,
      ),
    });
    await migrateMongo(world.mongo.db());
  });

  test('MongoDB: an interrupted migration is finished by the next, and keeps what the store says of itself', async () => {
    const db = world.mongo.db(`${world.name}_half`);
    await db.createCollection('twinwrite_ledger');
    expect(await pendingMongo(db)).not.toEqual([]);
    await migrateMongo(db);
    expect(await pendingMongo(db)).toEqual([]);
    const store = db.collection<{ _id: number }>('twinwrite_store');
    await store.updateOne({ _id: 1 }, { $set: { epoch: 7, tick: 70, migration: 0 } });
    await migrateMongo(db);
    expect(await store.findOne({ _id: 1 })).toMatchObject({ epoch: 7, tick: 70 });
    await db.dropDatabase();
  });
});

const storeOf = ({ mongo }: World) =>
  mongo.db().collection<{ _id: number; migration: number }>('twinwrite_store');

/** The schema as the first build left it. */
async function applyFirst(postgres: Pool): Promise<void> {
  await postgres.query(BOOTSTRAP);
  await postgres.query(first.sql);
  await postgres.query('insert into twinwrite.migration (version, name) values ($1, $2)', [
    first.version,
    first.name,
  ]);
}

/** An update without a way back, as that build runs it: its claim, its result, its settling. */
async function runAsFirstBuild(postgres: Pool, token: string): Promise<void> {
  const client = await postgres.connect();
  try {
    await client.query(`begin; set local lock_timeout = '1s'`);
    const { ticket, answer } = await claimAsFirstBuild(client, token);
    await client.query(
      `update twinwrite.ledger set result = 'null' where definition = 'd' and token = $1`,
      [token],
    );
    await client.query('commit');
    expect(['claimed', 'forward']).toContain(answer);
    await client.query('select * from twinwrite.settle($1, $2, $3)', ['d', token, ticket]);
  } finally {
    await client.query('rollback');
    client.release();
  }
}

async function claimAsFirstBuild(client: PoolClient, token: string) {
  const { rows } = await client.query<{ ticket: string; answer: string }>(
    `select * from twinwrite.claim('d', $1, '1:x', 'd/' || $1, 'projection', false, array['e:' || $1], array['c/' || $1], '{}', '5 minutes')`,
    [token],
  );
  const [answer] = rows;
  if (answer === undefined) throw new Error('a claim answers');
  return answer;
}

/** As Temporal does: a lock that was not available in time is no failure of an update. */
async function retried(attempt: () => Promise<void>): Promise<void> {
  await eventually(
    () =>
      attempt().then(
        () => true,
        (error: { code?: string }) => {
          if (error.code === '55P03') return undefined;
          throw error as Error;
        },
      ),
    'an attempt finds no lock in its way',
  );
}

async function isMigratorWaiting(postgres: Pool): Promise<boolean> {
  const { rowCount } = await postgres.query(
    `select 1 from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock' and query ilike '%alter%'`,
  );
  return rowCount !== 0;
}
