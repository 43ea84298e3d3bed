/**
 * Goal: clause 6: only a refusal that never passes takes an update back, and of the refusals by
 * Postgres the first record wins (F27); MongoDB that is slow, away, or without a primary is waited
 * out. Method: validators, two workers that drive one token, fail points for the commands of one
 * client, and a proxy that is cut.
 */
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { NativeConnection } from '@temporalio/worker';
import { MongoClient } from 'mongodb';
import { Pool } from 'pg';
import { eventually } from '../support/eventually';
import { whileFailing } from '../support/fail-point';
import { startTcpProxy } from '../support/tcp-proxy';
import { openWorld, type RunningWorker, type World } from '../support/world';
import { expectAgreement } from './agreement';
import { Refusal, Steering } from './steering';
import {
  type Kind,
  prepareTransfers,
  TOO_MANY,
  type Transfer,
  transfer,
  transferKinds,
} from './transfers';

let world: World;
let worker: RunningWorker;
const steering = new Steering();
const kinds = transferKinds(steering, 2_000);
const updates = Object.values(kinds);
const DOUBLE = [kinds.projection, kinds.transaction, kinds.transactionHalf];

beforeAll(async () => {
  world = await openWorld();
  await prepareTransfers(world);
  worker = await world.startWorker({ updates });
});

afterAll(async () => {
  await worker.stop();
  await world.close();
});

test('a refusal by MongoDB for good is undone in Postgres, in every shape that has a way back', async () => {
  await Promise.all(
    DOUBLE.map(async (kind) => {
      const input = transfer({ points: TOO_MANY });
      expect(await world.twinwrite.execute(kind, input)).toMatchObject({
        status: 'compensated',
        reason: { code: 'RefusedByMongo' },
      });
      await expectAgreement(world, kind, input, 'compensated');
    }),
  );
});

/** The same token once more, as if Temporal had forgotten it. */
const again = async (kind: Kind, input: Transfer, taskQueue = world.name) =>
  await world.temporal.workflow.start('crossStoreUpdate', {
    workflowId: `again/${taskQueue}/${input.id}`,
    taskQueue,
    args: [{ definition: kind.name, token: input.id, input }],
  });

test('F27: a refusal by Postgres is recorded, and stands when its cause is gone', async () => {
  await Promise.all(
    updates.map(async (kind) => {
      const input = transfer({ points: 13 });
      const first = await world.twinwrite.execute(kind, input);
      expect(first).toMatchObject({ status: 'refused', reason: { code: 'RefusedByPostgres' } });
    }),
  );
  const recorded = await world.postgres.query<{ definition: string; token: string; id: string }>(
    `select definition, token from twinwrite.updates where state = 'refused'`,
  );
  expect(recorded.rowCount).toBe(updates.length);
  await world.postgres.query('alter table entry drop constraint entry_points_check');
  await Promise.all(
    recorded.rows.map(async ({ definition, token: id }) => {
      const kind = updates.find(({ name }) => name === definition);
      if (kind === undefined) throw new Error(`there is no ${definition}`);
      const input = { id, account: id, points: 13 };
      const workflow = await again(kind, input);
      expect(await workflow.result()).toMatchObject({ status: 'refused' });
      await expectAgreement(world, kind, input, 'refused');
    }),
  );
});

test('F27: of a refusal and a leg that commits meanwhile, the first record wins for both', async () => {
  const taskQueue = `${world.name}-other`;
  const connection = await NativeConnection.connect({ address: world.addresses.temporalAddress });
  const other = await world.startWorker({ updates, taskQueue, temporal: { connection } });
  try {
    await Promise.all(
      updates.map(async (kind) => {
        const input = transfer();
        const gate = steering.gate('apply', input.id);
        const reached = gate.reached();
        steering.at('apply', input.id, async (run) => {
          if (run > 1) return;
          await gate.hold();
          throw new Refusal('what it was refused for is gone at the second look');
        });
        const refusing = await world.twinwrite.submit(kind, input);
        await reached;
        const applying = await again(kind, input, taskQueue);
        await eventually(async () => {
          const { rowCount } = await world.postgres.query(
            `select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'
              and query like '%claim_or_wait%'`,
          );
          return (rowCount ?? 0) > 0 ? true : undefined;
        }, 'the other claim waits for the one in flight');
        gate.open();
        const outcomes = await Promise.all([refusing.outcome(), applying.result()]);
        expect(outcomes[0]).toEqual(outcomes[1]);
        await expectAgreement(world, kind, input, outcomes[0].status);
      }),
    );
  } finally {
    await other.stop();
    await connection.close();
  }
});

/** A worker whose MongoDB the test can spoil, and nobody else's. */
const withSpoilable = async (
  uri: string,
  story: (submit: (kind: Kind, input: Transfer) => Promise<unknown>) => Promise<void>,
): Promise<void> => {
  const taskQueue = `${world.name}-spoiled-${Math.random()}`;
  const mongo = new MongoClient(uri, {
    appName: `${world.name}-spoiled`,
    serverSelectionTimeoutMS: 500,
    // A primary that steps down says so at once; a fail point is noticed by the next sign of life.
    heartbeatFrequencyMS: 500,
  });
  const postgres = new Pool({ connectionString: world.postgresUrl, max: 8 });
  const connection = await NativeConnection.connect({ address: world.addresses.temporalAddress });
  await mongo.connect();
  const spoiled = await world.startWorker({
    updates,
    taskQueue,
    temporal: { connection },
    mongo,
    postgres,
  });
  try {
    await story(async (kind, input) => await (await again(kind, input, taskQueue)).result());
  } finally {
    await spoiled.stop();
    await connection.close();
    await mongo.close();
    await postgres.end();
  }
};

test.each([
  ['without a primary', 10_107],
  ['not yet recovered', 13_436],
])('MongoDB that is %s (%i) is waited out, and nothing is taken back', async (_, errorCode) => {
  await withSpoilable(world.mongoUri, async (submit) => {
    const inputs = [kinds.projection, kinds.transaction].map((kind) => ({
      kind,
      input: transfer(),
    }));
    const { result: outcomes, failed } = await whileFailing(
      world,
      `${world.name}-spoiled`,
      {
        failCommands: ['update', 'insert', 'commitTransaction'],
        times: 10,
        fails: { errorCode },
      },
      async () => await Promise.all(inputs.map(({ kind, input }) => submit(kind, input))),
    );
    expect(failed).toBeGreaterThanOrEqual(10);
    expect(outcomes).toEqual([
      expect.objectContaining({ status: 'applied' }),
      expect.objectContaining({ status: 'applied' }),
    ]);
    for (const { kind, input } of inputs) await expectAgreement(world, kind, input, 'applied');
  });
});

test('MongoDB that is away is waited out, and nothing is taken back', async () => {
  const { hostname: host, port, pathname } = new URL(world.mongoUri);
  const proxy = await startTcpProxy({ host, port: Number(port) });
  const uri = `mongodb://127.0.0.1:${proxy.port}${pathname}?directConnection=true`;
  try {
    await withSpoilable(uri, async (submit) => {
      const inputs = updates.map((kind) => ({ kind, input: transfer() }));
      proxy.cut();
      const outcomes = Promise.all(
        inputs.map(async ({ kind, input }) => await submit(kind, input)),
      );
      await eventually(() => (proxy.refusals() >= 5 ? true : undefined), 'it was missed');
      const { rows } = await world.postgres.query<{ state: string }>(
        `select distinct state from twinwrite.updates where token = any($1)`,
        [inputs.map(({ input }) => input.id)],
      );
      expect(rows).toEqual([{ state: 'forward' }]);
      proxy.mend();
      for (const outcome of await outcomes) expect(outcome).toMatchObject({ status: 'applied' });
      for (const { kind, input } of inputs) await expectAgreement(world, kind, input, 'applied');
    });
  } finally {
    await proxy.close();
  }
});
