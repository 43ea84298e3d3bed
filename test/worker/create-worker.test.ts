/**
 * Goal: a worker takes nothing with it that is not its own: not the process when a connection
 * breaks, not an open socket when it cannot start. Method: real servers behind proxies whose
 * connections can be counted.
 */
import { randomUUID } from 'node:crypto';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { MongoClient } from 'mongodb';
import { Pool } from 'pg';
import pino from 'pino';
import { createWorker } from 'twinwrite/worker';
import { eventually } from '../support/eventually';
import { startTcpProxy, type TcpProxy } from '../support/tcp-proxy';
import { openWorld, type World } from '../support/world';
import { slowLeg } from './fixtures/slow-leg';

const definition = slowLeg({ sleepSeconds: 0, legTimeoutMillis: 4_000 });
const logger = pino({ level: 'silent' });

describe('createWorker', () => {
  let world: World;
  let temporal: TcpProxy;
  const address = process.env['TEMPORAL_ADDRESS'];

  beforeAll(async () => {
    world = await openWorld();
    await world.postgres.query('create table effect (id text not null)');
    const [host = '', port] = world.addresses.temporalAddress.split(':');
    temporal = await startTcpProxy({ host, port: Number(port) });
  });

  afterAll(async () => {
    await temporal.close();
    await world.close();
  });

  beforeEach(() => {
    process.env['TEMPORAL_ADDRESS'] = `127.0.0.1:${temporal.port}`;
  });

  afterEach(() => {
    if (address === undefined) delete process.env['TEMPORAL_ADDRESS'];
    else process.env['TEMPORAL_ADDRESS'] = address;
  });

  const optionsOf = () => ({
    updates: [definition],
    postgres: world.postgres,
    mongo: world.mongo,
    taskQueue: world.name,
    logger,
  });

  const nothingIsLeft = () => {
    expect(world.postgres.listenerCount('error')).toBe(0);
    expect(world.postgres.listenerCount('acquire')).toBe(0);
  };

  test('a port that is taken is said so, and what was opened is closed', async () => {
    const other = createServer();
    await new Promise<void>((resolve) => {
      other.listen(0, '127.0.0.1', resolve);
    });
    const { port } = other.address() as AddressInfo;
    await expect(createWorker({ ...optionsOf(), health: { port } })).rejects.toMatchObject({
      code: 'InvalidConfiguration',
      message: `The health server cannot listen on 127.0.0.1 port ${port}: the port is taken. Give it another with TWINWRITE_HEALTH_PORT, or createWorker's health.port; 0 picks a free one.`,
    });
    nothingIsLeft();
    await eventually(
      () => (temporal.connections() === 0 ? true : undefined),
      'the connection to Temporal is closed',
    );
    await new Promise((resolve) => {
      other.close(resolve);
    });
  });

  test('a namespace that is not there is said so, and what was opened is closed', async () => {
    process.env['TEMPORAL_NAMESPACE'] = 'nowhere';
    try {
      await expect(createWorker({ ...optionsOf(), health: { port: 0 } })).rejects.toMatchObject({
        code: 'InvalidConfiguration',
        message:
          'Temporal has no namespace "nowhere". Create it, or name another with TEMPORAL_NAMESPACE or createWorker\'s temporal.namespace.',
      });
    } finally {
      delete process.env['TEMPORAL_NAMESPACE'];
    }
    nothingIsLeft();
  });

  test('a MongoDB that is down is said so', async () => {
    const mongo = new MongoClient('mongodb://127.0.0.1:1/nothing?directConnection=true', {
      serverSelectionTimeoutMS: 200,
    });
    await expect(createWorker({ ...optionsOf(), mongo })).rejects.toMatchObject({
      code: 'UnsuitableStore',
      fields: { store: 'MongoDB' },
    });
    await mongo.close();
  });

  test('a worker that is told to stop before it runs ends as soon as it runs', async () => {
    const worker = await createWorker(optionsOf());
    worker.shutdown();
    await worker.run();
    worker.shutdown();
    nothingIsLeft();
  });

  test('a worker whose Temporal is gone waits for it, and goes on when it is back (H23)', async () => {
    const worker = await createWorker({ ...optionsOf(), health: { port: 0 } });
    const done = worker.run();
    const ready = async () => {
      const response = await fetch(`${worker.health?.url}/ready`);
      return `${response.status} ${await response.text()}`;
    };
    expect(await ready()).toBe('200 ready\n');
    temporal.cut();
    const handle = await world.twinwrite.submit(definition, { id: randomUUID() });
    expect(await ready()).toBe('503 not ready: no answer from Temporal\n');
    temporal.mend();
    expect(await handle.outcome()).toMatchObject({ status: 'applied' });
    expect(await ready()).toBe('200 ready\n');
    worker.shutdown();
    await done;
  });

  test('connections that break, idle or in use, do not end the process (H9)', async () => {
    const postgres = new Pool({ connectionString: world.postgresUrl, max: 4 });
    // Opened before the worker knew the pool.
    const early = await postgres.connect();
    early.release();
    const worker = await world.startWorker({ updates: [definition], postgres });
    const inUse = await postgres.connect();
    const idle = await postgres.connect();
    idle.release();
    const removed = new Set<unknown>();
    postgres.on('remove', (client) => removed.add(client));
    const ended = new Promise((resolve) => {
      inUse.once('end', resolve);
    });
    await world.postgres.query(
      `select pg_terminate_backend(pid) from pg_stat_activity
        where datname = current_database() and application_name <> $1 and pid <> pg_backend_pid()`,
      [world.name],
    );
    await ended;
    inUse.release(true);
    // The pool itself may have others by now: the worker looks for what to do meanwhile.
    await eventually(
      () => (removed.has(inUse) && removed.has(idle) ? true : undefined),
      'both are noticed',
    );
    expect((await postgres.query('select 1 as one')).rows).toEqual([{ one: 1 }]);
    await worker.stop();
    await postgres.end();
  });
});
