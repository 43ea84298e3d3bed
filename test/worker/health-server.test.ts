/**
 * Goal: what an orchestrator and Prometheus read of a worker. Method: a worker in a process of its
 * own for Temporal's exporter, which a process has once; stores behind a proxy that can be cut.
 */
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { Pool } from 'pg';
import { eventually } from '../support/eventually';
import { startTcpProxy } from '../support/tcp-proxy';
import { openWorld, type World } from '../support/world';
import { readPrometheusText } from './fixtures/prometheus-text';
import { slowLeg } from './fixtures/slow-leg';
import { startWorkerProcess } from './fixtures/start-worker-process';

const definition = slowLeg({ sleepSeconds: 0, legTimeoutMillis: 4_000 });

describe('the health server', () => {
  let world: World;

  beforeAll(async () => {
    world = await openWorld();
    await world.postgres.query('create table effect (id text not null check (id <> $$refused$$))');
  });

  afterAll(async () => {
    await world.close();
  });

  test('/metrics is Prometheus text with Temporal’s families and ours, each once', async () => {
    const worker = startWorkerProcess(world);
    try {
      const url = await worker.ready();
      const ids = [randomUUID(), randomUUID(), randomUUID()];
      for (const id of ids) await world.twinwrite.execute(definition, { id });
      await world.twinwrite.execute(definition, { id: 'refused' }, { token: randomUUID() });
      const response = await fetch(`${url}/metrics`);
      expect(response.headers.get('content-type')).toBe('text/plain; version=0.0.4; charset=utf-8');
      const families = readPrometheusText(await response.text());
      expect(families.get('twinwrite_outcomes_total')?.samples).toEqual(
        new Map([
          ['twinwrite_outcomes_total{definition="slowLeg",status="applied"}', 3],
          ['twinwrite_outcomes_total{definition="slowLeg",status="refused"}', 1],
        ]),
      );
      expect([...families.keys()]).toEqual(
        expect.arrayContaining([
          'twinwrite_build_info',
          'twinwrite_leg_attempts_total',
          'twinwrite_leg_duration_seconds',
          'twinwrite_leg_failures_total',
          'twinwrite_postgres_connections',
          'twinwrite_postgres_waiting',
          'temporal_worker_task_slots_available',
          'temporal_workflow_completed',
        ]),
      );
      expect(worker.lines).toContainEqual(
        expect.objectContaining({
          definition: 'slowLeg',
          token: ids[0],
          leg: 'applyPostgres',
          attempt: 1,
          answer: 'forward',
        }),
      );
    } finally {
      worker.child.kill('SIGTERM');
      await worker.exited;
    }
  });

  test('/ready says which store does not answer, and is ready again when it does', async () => {
    const address = new URL(world.postgresUrl);
    const proxy = await startTcpProxy({ host: address.hostname, port: Number(address.port) });
    address.port = String(proxy.port);
    const postgres = new Pool({ connectionString: address.toString(), max: 2 });
    const worker = await world.startWorker({
      updates: [definition],
      postgres,
      health: { port: 0 },
    });
    const ready = async () => {
      const response = await fetch(`${worker.health?.url}/ready`);
      return { status: response.status, body: await response.text() };
    };
    expect(await ready()).toEqual({ status: 200, body: 'ready\n' });
    proxy.cut();
    expect(await ready()).toEqual({ status: 503, body: 'not ready: no answer from PostgreSQL\n' });
    expect((await fetch(`${worker.health?.url}/live`)).status).toBe(200);
    proxy.mend();
    await eventually(
      async () => ((await ready()).status === 200 ? true : undefined),
      'ready again',
    );
    expect((await fetch(`${worker.health?.url}/nothing`)).status).toBe(404);
    await worker.stop();
    await expect(fetch(`${worker.health?.url}/live`)).rejects.toThrow('fetch failed');
    await postgres.end();
    await proxy.close();
  });
});
