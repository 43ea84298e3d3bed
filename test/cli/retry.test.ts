/**
 * Goal: an operator learns why an update is parked and what to do, and `twinwrite retry` makes it
 * try again; of any other update it says why there is nothing to retry. Method: the real commands as
 * processes of their own, against orders that a document which Twinwrite did not write parks.
 */
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { placeOrder } from '../../examples/orders/definition';
import { prepareShop } from '../../examples/orders/prepare';
import { registerSearchAttributes } from '../../src/client/register-search-attributes';
import { eventually } from '../support/eventually';
import { openWorld, type RunningWorker, type World } from '../support/world';
import { environmentOf, ORDERS_CONFIG, runCli } from './run-cli';

const STOCK = ['kettle', 'cup', 'pot'].map((sku) => ({
  sku,
  title: sku,
  priceCents: '1999',
  available: 1_000,
}));

describe('twinwrite retry', () => {
  let world: World;
  let worker: RunningWorker;

  beforeAll(async () => {
    world = await openWorld();
    await prepareShop(world.postgres, world.mongo.db(), STOCK);
    await registerSearchAttributes(world.temporal);
    worker = await world.startWorker({ updates: [placeOrder] });
  });

  afterAll(async () => {
    await worker.stop();
    await world.close();
  });

  const run = async (args: readonly string[], env = environmentOf(world)) =>
    await runCli(args, { env });
  const submit = async (sku: string, orderId: string = randomUUID()) =>
    await world.twinwrite.submit(placeOrder, { orderId, sku, quantity: 1 });
  const orders = () => world.mongo.db().collection<{ _id: string; foreign?: boolean }>('orders');

  /** An order whose document somebody else wrote: it is parked at its first attempt. */
  const park = async (sku: string) => {
    const orderId = randomUUID();
    await orders().insertOne(
      { _id: orderId, foreign: true },
      // An older application's document, from before the collection had a validator.
      { bypassDocumentValidation: true },
    );
    const handle = await submit(sku, orderId);
    await eventually(
      async () => ((await handle.progress()).parked === undefined ? undefined : true),
      'the order is parked',
    );
    return handle;
  };
  const mend = async (orderId: string) => await orders().deleteOne({ _id: orderId, foreign: true });

  test('a parked update is shown with its reason and the command; once mended, the command finishes it', async () => {
    const handle = await park('kettle');
    const { token } = handle;
    const why = `orders/${token} exists in MongoDB and was not written by Twinwrite.`;
    const shown = await run(['show', 'placeOrder', token]);
    expect(shown.stdout).toContain(`placeOrder ${token}: parked`);
    expect(shown.stdout).toContain(`Parked    Mongo leg: ${why}`);
    expect(shown.stdout).toContain(
      `once the cause is mended: twinwrite retry placeOrder ${token}\n`,
    );
    await mend(token);
    const dry = await run(['retry', 'placeOrder', token, '--dry-run']);
    expect(dry.stdout).toContain(
      'is parked, and would be told to try again now. Nothing was done.',
    );
    const reason = ['--reason', 'the document is gone, ticket 4711'];
    const { code, stdout, stderr } = await run(['retry', 'placeOrder', token, '--json', ...reason]);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(JSON.parse(stdout)).toEqual({
      definition: 'placeOrder',
      token,
      state: 'parked',
      parked: { leg: 'Mongo leg', reason: expect.stringContaining(why) },
      outcome: null,
      isDryRun: false,
      retried: true,
    });
    expect(await handle.outcome()).toMatchObject({ status: 'applied' });
    const after = await run(['show', 'placeOrder', token, '--json']);
    expect(JSON.parse(after.stdout)).toMatchObject({ state: 'applied', parked: null });
    const proof = await run(['prove', 'placeOrder', token]);
    expect(proof.stdout).toMatch(/Intervention +retry by .+@.+: the document is gone, ticket 4711/);
  });

  test('retried before it is mended it is parked again; a waiter behind it is told to wait', async () => {
    const handle = await park('cup');
    const waiter = await submit('cup');
    await eventually(
      async () => ((await waiter.progress()).done.length > 0 ? true : undefined),
      'the second order waits for its turn',
    );
    const [retried, waiting] = await Promise.all([
      run(['retry', 'placeOrder', handle.token]),
      run(['retry', 'placeOrder', waiter.token]),
    ]);
    expect(retried.code).toBe(0);
    expect(retried.stdout).toContain(`placeOrder ${handle.token} was parked, and tries again now`);
    expect(retried.stdout).toContain('It was parked by  Mongo leg: orders/');
    expect(waiting.code).toBe(0);
    expect(waiting.stdout).toBe(
      `placeOrder ${waiter.token} is not parked: it waits for its turn, because another update holds one of its entities. Nothing was done.\n`,
    );
    await mend(handle.token);
    await retryUntilSettled(handle.token);
    expect(await waiter.outcome()).toMatchObject({ status: 'applied' });
  });

  /** It may be between two states when it is told. */
  const retryUntilSettled = async (token: string) =>
    await eventually(async () => {
      const { stdout } = await run(['retry', 'placeOrder', token, '--json']);
      const { outcome } = JSON.parse(stdout) as { outcome: object | null };
      return outcome ?? undefined;
    }, 'it is settled');

  test('without a worker the ledger tells the reason, and without the ledger the search attribute that it is parked', async () => {
    const handle = await park('pot');
    const { token } = handle;
    await worker.stop();
    try {
      const { DATABASE_URL: _postgres, MONGODB_URI: _mongo, ...env } = environmentOf(world);
      const [fromLedger, fromTemporal] = await Promise.all([
        run(['show', 'placeOrder', token, '--json']),
        run(['show', 'placeOrder', token], env),
      ]);
      expect(JSON.parse(fromLedger.stdout)).toMatchObject({
        state: 'parked',
        parked: { leg: 'Mongo leg', reason: expect.stringContaining(`orders/${token} exists`) },
      });
      expect(fromTemporal.stdout).toContain(`placeOrder ${token}: parked`);
      expect(fromTemporal.stdout).toContain('no worker answers for it');
      await mend(token);
      const { code, stdout } = await run(['retry', 'placeOrder', token], env);
      expect(code).toBe(0);
      expect(stdout).toContain('was parked, and tries again now');
    } finally {
      worker = await world.startWorker({ updates: [placeOrder] });
    }
    expect(await handle.outcome()).toMatchObject({ status: 'applied' });
  });

  test('an update that runs by itself is left alone', async () => {
    const blocker = await world.postgres.connect();
    try {
      await blocker.query('begin');
      await blocker.query('lock table orders');
      const handle = await submit('kettle');
      const { code, stdout } = await run(['retry', 'placeOrder', handle.token, '--json']);
      expect(code).toBe(0);
      expect(JSON.parse(stdout)).toMatchObject({ state: 'running', retried: false });
      await blocker.query('rollback');
      await handle.outcome();
    } finally {
      blocker.release(true);
    }
  });

  test('a settled update answers its outcome, also when Temporal has forgotten it', async () => {
    const handle = await submit('kettle');
    await handle.outcome();
    const elsewhere = { ...environmentOf(world), TEMPORAL_NAMESPACE: 'temporal-system' };
    const [known, forgotten] = await Promise.all([
      run(['retry', 'placeOrder', handle.token]),
      run(['retry', 'placeOrder', handle.token, '--json'], elsewhere),
    ]);
    expect(known).toEqual({
      code: 0,
      stdout: `placeOrder ${handle.token} is settled already: applied. Nothing was done.\n`,
      stderr: '',
    });
    expect(JSON.parse(forgotten.stdout)).toMatchObject({
      state: 'applied',
      outcome: { status: 'applied', result: { totalCents: '1999' } },
      retried: false,
    });
  });

  test('one whose workflow was terminated is to be submitted again, and says so', async () => {
    const handle = await park('kettle');
    await world.temporal.workflow.getHandle(handle.workflowId).terminate('by the test');
    const { code, stderr } = await run(['retry', 'placeOrder', handle.token]);
    expect(code).toBe(1);
    expect(stderr).toContain('was terminated or timed out. Submit it again with the same input');
    await mend(handle.token);
    expect(await (await submit('kettle', handle.token)).outcome()).toMatchObject({
      status: 'applied',
    });
  });

  test('a token that nobody knows is told in one sentence, and a misspelled name with the nearest', async () => {
    const [unknown, misspelled] = await Promise.all([
      run(['retry', 'placeOrder', 'no-such-order', '--config', ORDERS_CONFIG]),
      run(['retry', 'placeOrdr', 'x', '--config', ORDERS_CONFIG, '--json']),
    ]);
    expect(unknown).toEqual({
      code: 1,
      stdout: '',
      stderr:
        'twinwrite: placeOrder "no-such-order" is not known to Temporal. Check the name and the token, or submit it.\n',
    });
    expect(misspelled.code).toBe(2);
    expect(JSON.parse(misspelled.stdout)).toEqual({
      error: { code: 'Usage', message: expect.stringContaining('Did you mean placeOrder?') },
    });
  });
});
