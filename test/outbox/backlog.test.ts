/**
 * Goal: what is enlisted while Temporal is away waits, is seen to wait, and is started when it is
 * back; several workers share it without starting anything twice. Method: a worker behind a proxy
 * that is cut, another beside it, and their metrics.
 */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { NativeConnection } from '@temporalio/worker';
import { type Enlisted, submitManyInTransaction } from 'twinwrite';
import { countedProjection, effectsOf, prepareEffects } from '../support/counted-definitions';
import { eventually } from '../support/eventually';
import { startTcpProxy, type TcpProxy } from '../support/tcp-proxy';
import { openWorld, type RunningWorker, type World } from '../support/world';
import { counted, enlistedRows, inOwnTransaction, metricsOf, ONCE } from './enlisting';

const LAG = 'twinwrite_outbox_lag_seconds';

describe('a backlog of enlisted updates', () => {
  const definition = countedProjection();
  let world: World;
  let proxy: TcpProxy;
  let connection: NativeConnection;
  let cutOff: RunningWorker;
  /** Their outcomes are asked for later: Temporal's own worker is slow to come back. */
  let waited: readonly Enlisted[];

  const startWorker = (options: { temporal?: { connection: NativeConnection } } = {}) =>
    world.startWorker({ updates: [definition], health: { port: 0 }, ...options });

  beforeAll(async () => {
    world = await openWorld();
    await prepareEffects(world);
    const [host = '', port] = world.addresses.temporalAddress.split(':');
    proxy = await startTcpProxy({ host, port: Number(port) });
    connection = await NativeConnection.connect({ address: `127.0.0.1:${proxy.port}` });
    cutOff = await startWorker({ temporal: { connection } });
  });

  afterAll(async () => {
    await cutOff.stop();
    await connection.close();
    await proxy.close();
    await world.close();
  });

  const enlist = async (howMany: number): Promise<readonly Enlisted[]> =>
    await inOwnTransaction(world.postgres, (execute) =>
      submitManyInTransaction(execute, definition, Array.from({ length: howMany }, counted), {
        taskQueue: world.name,
      }),
    );

  const sampleOf = async (worker: RunningWorker, family: string, sample = family) =>
    (await metricsOf(worker)).get(family)?.samples.get(sample);

  const allApplied = async (enlisted: readonly Enlisted[]) => {
    const outcomes = enlisted.map((one) => world.twinwrite.handle(one).outcome());
    for (const outcome of await Promise.all(outcomes)) expect(outcome.status).toBe('applied');
    for (const { token } of enlisted)
      expect(await effectsOf(world, definition, token)).toEqual(ONCE);
  };

  test('waits while Temporal is away, and says how much and how long; started, it tells the lag', async () => {
    proxy.cut();
    waited = await enlist(10);
    await eventually(
      async () =>
        (await sampleOf(
          cutOff,
          'twinwrite_outbox_rows',
          'twinwrite_outbox_rows{state="waiting"}',
        )) === 10 || undefined,
      'the worker tells how many wait',
    );
    expect(await sampleOf(cutOff, 'twinwrite_outbox_oldest_seconds')).toBeGreaterThan(0);
    expect(await enlistedRows(world.postgres, definition)).toHaveLength(10);
    proxy.mend();
    await eventually(
      async () => (await sampleOf(cutOff, LAG, `${LAG}_count`)) === 10 || undefined,
      'every start is observed',
    );
    const lag = await sampleOf(cutOff, LAG, `${LAG}{quantile="0.95"}`);
    expect(lag).toBeGreaterThan(0.5);
    expect(lag).toBeLessThan(60);
  });

  test('is shared by workers, each start made by one of them', async () => {
    const before = (await sampleOf(cutOff, LAG, `${LAG}_count`)) ?? 0;
    const other = await startWorker();
    const batches = await Promise.all(Array.from({ length: 4 }, () => enlist(6)));
    await allApplied([...waited, ...batches.flat()]);
    const counts = async () =>
      await Promise.all([cutOff, other].map((one) => sampleOf(one, LAG, `${LAG}_count`)));
    await eventually(async () => {
      const [first = 0, second = 0] = await counts();
      return first + second - before === 24 || undefined;
    }, 'twenty-four starts are observed by the two');
    await other.stop();
  });
});
