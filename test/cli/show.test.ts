/**
 * Goal: an operator sees the state, the outcome and its reason, and the legs of any update, from
 * whoever still knows it. Method: the real command as a process of its own, against updates in each
 * state; for one that Temporal has forgotten, it asks in a namespace that never had it: the answer
 * is the same.
 */
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { placeOrder } from '../../examples/orders/definition';
import { prepareShop } from '../../examples/orders/prepare';
import { Twinwrite } from '../../src/client';
import { openWorld, type RunningWorker, type World } from '../support/world';
import { environmentOf, ORDERS_CONFIG, runCli } from './run-cli';

const STOCK = [{ sku: 'kettle', title: 'Kettle', priceCents: '1999', available: 1_000 }];

describe('twinwrite show', () => {
  let world: World;
  let worker: RunningWorker;

  beforeAll(async () => {
    world = await openWorld();
    await prepareShop(world.postgres, world.mongo.db(), STOCK);
    worker = await world.startWorker({ updates: [placeOrder] });
  });

  afterAll(async () => {
    await worker.stop();
    await world.close();
  });

  const show = async (args: readonly string[], env = environmentOf(world)) =>
    await runCli(['show', ...args], { env });

  const place = async (changes: object = {}): Promise<string> => {
    const orderId = randomUUID();
    await world.twinwrite.execute(placeOrder, { orderId, sku: 'kettle', quantity: 1, ...changes });
    return orderId;
  };

  test('an applied update shows its result, its legs and both ledgers', async () => {
    const token = await place();
    const { code, stdout, stderr } = await show(['placeOrder', token, '--json']);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    const report = JSON.parse(stdout) as { legs: unknown[] };
    expect(report).toMatchObject({
      definition: 'placeOrder',
      token,
      state: 'applied',
      outcome: { status: 'applied', result: { totalCents: '1999' } },
      workflow: {
        workflowId: `placeOrder/${token}`,
        status: 'COMPLETED',
        taskQueue: world.name,
        startedAt: expect.any(String),
        closedAt: expect.any(String),
      },
      ledger: {
        postgres: { state: 'applied', postgresLeg: 'applied', mongoLeg: 'applied' },
        mongo: null,
      },
      webUrl: expect.stringContaining(`${world.addresses.temporalWebUrl}/namespaces/default/`),
    });
    expect(report.legs.length).toBeGreaterThan(0);
    expect(report.legs[0]).toMatchObject({
      attempts: 1,
      durationMillis: expect.any(Number),
      lastFailure: null,
    });
  });

  test('for people, it is a page with a table and the link', async () => {
    const token = await place({ giftNote: 'x'.repeat(121) });
    const { code, stdout } = await show(['placeOrder', token]);
    expect(code).toBe(0);
    expect(stdout).toContain(`placeOrder ${token}: compensated`);
    expect(stdout).toContain('Reason    RefusedByMongo: MongoDB refused the data');
    expect(stdout).toMatch(/Leg .*Answer .*Attempts .*Took/);
    expect(stdout).toContain('Compensation: undo Postgres');
    expect(stdout).toContain('Compensation: restore Mongo');
    expect(stdout).toContain('settled as compensated');
    expect(stdout).toContain(`Web UI    ${world.addresses.temporalWebUrl}`);
  });

  test('without the stores it shows what Temporal knows', async () => {
    const token = await place({ sku: 'nobody-sells-it' });
    const { DATABASE_URL: _postgres, MONGODB_URI: _mongo, ...env } = environmentOf(world);
    const { code, stdout } = await show(['placeOrder', token, '--json'], env);
    expect(code).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({
      state: 'refused',
      outcome: { status: 'refused', reason: { code: 'RefusedByDefinition' } },
      ledger: {},
    });
  });

  test('an update that waits for a worker is running', async () => {
    const options = { client: world.temporal, taskQueue: `${world.name}-nobody` };
    const elsewhere = await Twinwrite.connect(options);
    const orderId = randomUUID();
    const input = { orderId, sku: 'kettle', quantity: 1 };
    const handle = await elsewhere.submit(placeOrder, input);
    const { code, stdout } = await show(['placeOrder', orderId, '--json']);
    await world.temporal.workflow.getHandle(handle.workflowId).terminate('the test is over');
    expect(code).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({ state: 'running', outcome: null, legs: [] });
    const ended = await show(['placeOrder', orderId]);
    expect(ended.code).toBe(0);
    expect(ended.stdout).toContain('ended without an outcome (terminated)');
    expect(ended.stdout).toContain('Submit placeOrder again with the same input');
  });

  test('an update that Temporal has forgotten is shown from the ledger (clause 11)', async () => {
    const token = await place();
    const env = { ...environmentOf(world), TEMPORAL_NAMESPACE: 'temporal-system' };
    const { code, stdout } = await show(['placeOrder', token], env);
    expect(code).toBe(0);
    expect(stdout).toContain(`placeOrder ${token}: applied`);
    expect(stdout).toContain('Result    {"totalCents":"1999"}');
    expect(stdout).toContain('Workflow  none');
    expect(stdout).not.toContain('Web UI');
  });

  test('a token that nobody knows is told in one sentence, and a misspelled name with the nearest', async () => {
    const unknown = await show(['placeOrder', 'no-such-order', '--config', ORDERS_CONFIG]);
    expect(unknown).toEqual({
      code: 1,
      stdout: '',
      stderr:
        'twinwrite: placeOrder "no-such-order" is not known to Temporal. Check the name and the token, or submit it.\n',
    });
    const misspelled = await show(['placeOrdr', 'x', '--config', ORDERS_CONFIG, '--json']);
    expect(misspelled.code).toBe(2);
    expect(JSON.parse(misspelled.stdout)).toEqual({
      error: { code: 'Usage', message: expect.stringContaining('Did you mean placeOrder?') },
    });
  });

  test('a store that does not answer is named, without its password', async () => {
    const url = 'postgres://someone:secret@127.0.0.1:9/shop';
    const { code, stderr } = await show(['placeOrder', 'x'], {
      ...environmentOf(world),
      DATABASE_URL: url,
    });
    expect(code).toBe(1);
    expect(stderr).toContain(
      'PostgreSQL at 127.0.0.1:9 cannot be used (the connection is refused)',
    );
    expect(stderr).not.toContain('secret');
  });
});
