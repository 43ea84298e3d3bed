/**
 * Goal: `worker` runs the definitions of a config file as a process of its own, drains on SIGTERM,
 * and fails with a sentence. Method: the real command; an update is executed through it, and its
 * health port is asked.
 */

import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { placeOrder } from '../../examples/orders/definition';
import { prepareShop } from '../../examples/orders/prepare';
import { eventually } from '../support/eventually';
import { openWorld, type World } from '../support/world';
import { environmentOf, ORDERS_CONFIG, runCli, startCli } from './run-cli';

const STOCK = [{ sku: 'kettle', title: 'Kettle', priceCents: '1999', available: 1_000 }];

interface LogLine {
  readonly msg: string;
  readonly health?: string;
  readonly taskQueue?: string;
  readonly updates?: readonly string[];
}

describe('twinwrite worker', () => {
  let world: World;

  beforeAll(async () => {
    world = await openWorld();
    await prepareShop(world.postgres, world.mongo.db(), STOCK);
  });

  afterAll(async () => {
    await world.close();
  });

  test('it works until SIGTERM, then drains and ends with 0, leaving no connection behind', async () => {
    const args = ['worker', '--config', ORDERS_CONFIG, '--health-port', '0'];
    const child = startCli(args, { env: environmentOf(world) });
    const ended = once(child, 'close');
    const log: LogLine[] = [];
    let rest = '';
    child.stdout?.setEncoding('utf8').on('data', (text: string) => {
      const lines = (rest + text).split('\n');
      rest = lines.pop() ?? '';
      log.push(...lines.map((line) => JSON.parse(line) as LogLine));
    });
    let stderr = '';
    child.stderr?.setEncoding('utf8').on('data', (text: string) => (stderr += text));
    try {
      const started = await eventually(
        () => log.find(({ msg }) => msg === 'worker started'),
        'the worker started',
        30_000,
      );
      expect(started).toMatchObject({ taskQueue: world.name, updates: ['placeOrder'] });
      const input = { orderId: randomUUID(), sku: 'kettle', quantity: 1 };
      const outcome = await world.twinwrite.execute(placeOrder, input, { timeoutMillis: 20_000 });
      expect(outcome).toEqual({ status: 'applied', result: { totalCents: '1999' } });
      await eventually(async () => {
        const { status } = await fetch(`${started.health}/ready`);
        return status === 200 ? true : undefined;
      }, 'it is ready');
    } finally {
      child.kill('SIGTERM');
    }
    expect(await ended).toEqual([0, null]);
    expect({ stderr, rest }).toEqual({ stderr: '', rest: '' });
    // The end of this file's world fails if a connection to its database is still open.
  });

  test('what it needs and does not have is told in one sentence', async () => {
    const run = async (env: Record<string, string>, args: readonly string[] = []) =>
      await runCli(['worker', '--config', ORDERS_CONFIG, '--health-port', '0', ...args], { env });
    const unset = await run({ TEMPORAL_ADDRESS: world.addresses.temporalAddress });
    expect(unset).toMatchObject({ code: 1, stdout: '' });
    expect(unset.stderr).toContain('DATABASE_URL: it is not set; MONGODB_URI: it is not set');
    const unmigrated = await run({
      ...environmentOf(world),
      DATABASE_URL: world.addresses.postgresUrl,
    });
    expect(unmigrated.code).toBe(1);
    expect(unmigrated.stderr).toMatch(/^twinwrite: PostgreSQL cannot carry .*twinwrite migrate/m);
    const away = await run({ ...environmentOf(world), TEMPORAL_ADDRESS: '127.0.0.1:9' });
    expect(away.code).toBe(1);
    expect(away.stderr).toContain('twinwrite: Temporal did not answer');
  });

  test('a health port that is taken is told', async () => {
    const taken = createServer();
    taken.listen(0, '127.0.0.1');
    await once(taken, 'listening');
    const { port } = taken.address() as AddressInfo;
    try {
      const args = ['worker', '--config', ORDERS_CONFIG, '--health-port', String(port)];
      const { code, stderr } = await runCli(args, { env: environmentOf(world) });
      expect(code).toBe(1);
      expect(stderr).toContain('the port is taken');
    } finally {
      taken.close();
    }
  });
});
