/**
 * Goal: a relay is woken by a notification and by nothing slower, and a notification that is lost
 * costs a poll. Method: relays of their own with a poll so rare, or so frequent, that it is known
 * what woke them; a connection that the server ends.
 */
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import type { NativeConnection } from '@temporalio/worker';
import { Pool } from 'pg';
import pino from 'pino';
import { type Execute, submitInTransaction } from 'twinwrite';
import { WorkerMetrics } from '../../src/worker/metrics';
import { Relay } from '../../src/worker/relay';
import { countedProjection } from '../support/counted-definitions';
import { eventually } from '../support/eventually';
import { startTcpProxy } from '../support/tcp-proxy';
import { openWorld, type World } from '../support/world';
import { counted, enlistedRows } from './enlisting';

const NEVER_MILLIS = 10 * 60_000;

describe('a relay', () => {
  const definition = countedProjection();
  let world: World;
  let relay: Relay | undefined;

  beforeAll(async () => {
    world = await openWorld();
  });

  afterEach(async () => {
    await relay?.close();
  });

  afterAll(async () => {
    await world.close();
  });

  const start = (pollEveryMillis: number, postgres = world.postgres) => {
    const { namespace } = world.temporal.options;
    relay = new Relay({
      // The ordinary connection starts workflows as the native one does.
      temporal: {
        connection: world.temporal.connection as unknown as NativeConnection,
        namespace,
        close: async () => {},
      },
      postgres,
      taskQueue: world.name,
      metrics: new WorkerMetrics(postgres).outbox,
      logger: pino({ level: 'silent' }),
      pollEveryMillis,
    });
    relay.start();
  };

  const execute: Execute = (sql, parameters) => world.postgres.query(sql, parameters);
  const enlist = async (through: Execute = execute) => {
    const input = counted();
    await submitInTransaction(through, definition, input, { taskQueue: world.name });
    return input.id;
  };

  const isStarted = async (token: string) => {
    await eventually(async () => {
      const rows = await enlistedRows(world.postgres, definition);
      return rows.every((row) => row.token !== token) || undefined;
    }, 'it is started');
    await world.temporal.workflow.getHandle(`${definition.name}/${token}`).terminate();
  };

  const listeners = async () => {
    const { rows } = await world.postgres.query<{ pid: number }>(
      `select pid from pg_stat_activity where datname = current_database() and query = 'listen twinwrite_outbox'`,
    );
    return rows.map(({ pid }) => pid);
  };

  const listener = async (but?: number) =>
    await eventually(
      async () => (await listeners()).find((pid) => pid !== but),
      'a connection listens',
    );

  test('is woken by what is committed', async () => {
    start(NEVER_MILLIS);
    await listener();
    await isStarted(await enlist());
  });

  test('looks for what was enlisted before it listened', async () => {
    const token = await enlist();
    start(NEVER_MILLIS);
    await isStarted(token);
  });

  test('listens again when its connection breaks, and looks for what it missed', async () => {
    start(NEVER_MILLIS);
    const pid = await listener();
    await world.postgres.query('select pg_terminate_backend($1)', [pid]);
    await eventually(async () => (await listeners()).length === 0 || undefined, 'nobody listens');
    const missed = await enlist();
    await isStarted(missed);
    await listener(pid);
    await isStarted(await enlist());
  });

  test('goes on when PostgreSQL is back', async () => {
    const { hostname: host, port } = new URL(world.postgresUrl);
    const proxy = await startTcpProxy({ host, port: Number(port) });
    const url = new URL(world.postgresUrl);
    url.host = `127.0.0.1:${proxy.port}`;
    const pool = new Pool({ connectionString: url.toString() });
    pool.on('error', () => {});
    try {
      start(100, pool);
      await listener();
      proxy.cut();
      const missed = await enlist();
      await eventually(() => proxy.refusals() >= 2 || undefined, 'it has tried in vain');
      proxy.mend();
      await isStarted(missed);
      await listener();
    } finally {
      await relay?.close();
      await pool.end();
      await proxy.close();
    }
  });

  test('finds within its poll what no notification told it of', async () => {
    start(100);
    await listener();
    const silently: Execute = async (sql, parameters) =>
      await world.postgres.query(
        sql.replace('twinwrite.enlist', 'public.enlist_silently'),
        parameters,
      );
    const { rows } = await world.postgres.query<{ source: string }>(
      `select pg_get_functiondef('twinwrite.enlist'::regproc) as source`,
    );
    await world.postgres.query(
      (rows[0]?.source ?? '')
        .replace('twinwrite.enlist(', 'public.enlist_silently(')
        .replace('pg_notify(', 'concat('),
    );
    await isStarted(await enlist(silently));
  });

  test('takes no connection of the pool to listen, and leaves none behind', async () => {
    start(NEVER_MILLIS);
    await listener();
    const pids = await listeners();
    expect(pids).toHaveLength(1);
    await relay?.close();
    await eventually(async () => (await listeners()).length === 0 || undefined, 'it is closed');
  });
});
