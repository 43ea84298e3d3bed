/**
 * Goal: a worker is fit for a pool: it drains, it may be killed, and it says clearly why it cannot
 * start. Method: real processes and real signals; a leg that sleeps inside PostgreSQL, so that the
 * signal certainly meets it.
 */
import { randomUUID } from 'node:crypto';
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import type { UpdateHandle } from 'twinwrite';
import { eventually } from '../support/eventually';
import { openWorld, type World } from '../support/world';
import { slowLeg } from './fixtures/slow-leg';
import {
  type Settings,
  startWorkerProcess,
  type WorkerProcess,
} from './fixtures/start-worker-process';

describe('a worker process', () => {
  let world: World;
  const started: WorkerProcess[] = [];

  beforeAll(async () => {
    world = await openWorld();
    await world.postgres.query('create table effect (id text not null)');
  });

  afterEach(async () => {
    for (const { child } of started) child.kill('SIGKILL');
    await Promise.all(started.splice(0).map(({ exited }) => exited));
  });

  afterAll(async () => {
    await world.close();
  });

  const start = (settings: Settings = {}): WorkerProcess => {
    const worker = startWorkerProcess(world, settings);
    started.push(worker);
    return worker;
  };

  const submit = async (legTimeoutMillis = 4_000) => {
    const id = randomUUID();
    const definition = slowLeg({ sleepSeconds: 0, legTimeoutMillis });
    return { id, handle: await world.twinwrite.submit(definition, { id }) };
  };

  const anotherWorkerSettles = async (handle: UpdateHandle, legTimeoutMillis = 4_000) => {
    const worker = await world.startWorker({
      updates: [slowLeg({ sleepSeconds: 0, legTimeoutMillis })],
    });
    const outcome = await handle.outcome();
    await worker.stop();
    return outcome;
  };

  const legSleeps = async () =>
    await eventually(async () => {
      const { rowCount } = await world.postgres.query(
        `select from pg_stat_activity
          where datname = current_database() and state = 'active' and query like 'select pg_sleep%'`,
      );
      return rowCount === 0 ? undefined : true;
    }, 'the leg sleeps in PostgreSQL');

  const effectsOf = async (id: string) => {
    const { rows } = await world.postgres.query('select from effect where id = $1', [id]);
    const document = await world.mongo
      .db()
      .collection<{ _id: string; times: number }>('effects')
      .findOne({ _id: id });
    return { postgres: rows.length, mongo: document?.times };
  };

  test('SIGTERM lets the leg in flight commit, and exits with 0', async () => {
    const worker = start({ sleepSeconds: 1 });
    const url = await worker.ready();
    const { id, handle } = await submit();
    await legSleeps();
    worker.child.kill('SIGTERM');
    await eventually(
      async () => ((await fetch(`${url}/ready`)).status === 503 ? true : undefined),
      'a draining worker is not ready',
    );
    expect((await fetch(`${url}/live`)).status).toBe(200);
    expect(await worker.exited).toEqual({ code: 0, signal: null });
    const { rows } = await world.postgres.query(
      `select l.state from twinwrite.ledger l where token = $1`,
      [id],
    );
    expect(rows).toEqual([{ state: 'applied' }]);
    expect(await anotherWorkerSettles(handle)).toMatchObject({ status: 'applied' });
    expect(await effectsOf(id)).toEqual({ postgres: 1, mongo: 1 });
  });

  test('a leg beyond the grace ends the process with another code than 0, and another worker finishes it', async () => {
    const worker = start({ sleepSeconds: 3.5, legTimeoutMillis: 6_000, shutdownGraceMillis: 100 });
    await worker.ready();
    const { id, handle } = await submit(6_000);
    await legSleeps();
    worker.child.kill('SIGTERM');
    expect(await worker.exited).toEqual({ code: 1, signal: null });
    expect(worker.lines).toContainEqual(
      expect.objectContaining({
        err: expect.objectContaining({ type: 'GracefulShutdownPeriodExpiredError' }),
      }),
    );
    expect(await anotherWorkerSettles(handle)).toMatchObject({ status: 'applied' });
    expect(await effectsOf(id)).toEqual({ postgres: 1, mongo: 1 });
  });

  test('a second signal ends it at once', async () => {
    const worker = start({ sleepSeconds: 2 });
    await worker.ready();
    const { handle } = await submit();
    await legSleeps();
    worker.child.kill('SIGTERM');
    await eventually(
      () => worker.lines.find(({ signal }) => signal === 'SIGTERM'),
      'the first signal is logged',
    );
    worker.child.kill('SIGINT');
    expect(await worker.exited).toEqual({ code: 130, signal: null });
    expect(await anotherWorkerSettles(handle)).toMatchObject({ status: 'applied' });
  });

  test('SIGKILL in a leg: another worker finishes it, and nothing happens twice', async () => {
    const worker = start({ sleepSeconds: 2 });
    await worker.ready();
    const { id, handle } = await submit();
    await legSleeps();
    worker.child.kill('SIGKILL');
    expect(await worker.exited).toEqual({ code: null, signal: 'SIGKILL' });
    expect(await anotherWorkerSettles(handle)).toMatchObject({ status: 'applied' });
    expect(await effectsOf(id)).toEqual({ postgres: 1, mongo: 1 });
  });

  test('without PostgreSQL it says so and exits with another code than 0', async () => {
    const worker = start({ postgresUrl: 'postgres://postgres@127.0.0.1:1/nothing' });
    expect(await worker.exited).toEqual({ code: 1, signal: null });
    expect(worker.stderr()).toBe(
      'PostgreSQL cannot carry cross-store updates: it does not answer (connect ECONNREFUSED 127.0.0.1:1); check that it runs, and that its address and credentials are right.\n',
    );
  });

  test('without Temporal it says so and exits with another code than 0', async () => {
    const worker = start({ temporalAddress: '127.0.0.1:1' });
    expect(await worker.exited).toEqual({ code: 1, signal: null });
    expect(worker.stderr()).toBe(
      'Temporal did not answer (no connection to 127.0.0.1:1). Check that the server runs and that TEMPORAL_ADDRESS and TEMPORAL_NAMESPACE name it.\n',
    );
  });
});
