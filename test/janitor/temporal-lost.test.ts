/**
 * Goal: clause 9, F45: Temporal's database is lost while the stores keep theirs, and every update
 * that was begun reaches its outcome all the same, without Temporal; afterwards its token answers
 * that in the new Temporal. Method: a Temporal server of the test's own, killed with updates in
 * every stage, and one with an empty database at the same address.
 */
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { Client, Connection } from '@temporalio/client';
import { NativeConnection } from '@temporalio/worker';
import { Twinwrite } from '../../src/client';
import type { RunningServer } from '../../src/stack/running-server';
import { startTemporal } from '../../src/stack/temporal-server';
import { expectAgreement } from '../compensation/agreement';
import { type Moment, Steering } from '../compensation/steering';
import {
  type Kind,
  prepareTransfers,
  TOO_MANY,
  type Transfer,
  tolerate,
  transfer,
  transferKinds,
} from '../compensation/transfers';
import { closeAll, openContext, stopLater } from '../stack/support';
import { startTcpProxy, type TcpProxy } from '../support/tcp-proxy';
import { openWorld, type RunningWorker, type World } from '../support/world';
import { Stranding } from './stranded';

/** A call waits five seconds for its answer; then the janitor looks, and runs the legs. */
const TURN_BOUND_MILLIS = 5_000 + 1_000 + 4_000;

const steering = new Steering();
const kinds = transferKinds(steering, 4_000);

let world: World;
let proxy: TcpProxy;
let connections: [NativeConnection, Connection];
let twinwrite: Twinwrite;
let worker: RunningWorker;
let stranding: Stranding;
let temporal: RunningServer;
const address = { host: '127.0.0.1', port: 0 };

async function startEmptyTemporal(): Promise<void> {
  temporal = await stopLater(startTemporal(await openContext()));
  address.port = Number(temporal.url.split(':')[1]);
}

beforeAll(async () => {
  [world] = await Promise.all([openWorld(), startEmptyTemporal()]);
  await prepareTransfers(world);
  proxy = await startTcpProxy(address);
  const through = { address: `127.0.0.1:${proxy.port}` };
  const connection = await NativeConnection.connect(through);
  connections = [connection, await Connection.connect(through)];
  const client = new Client({ connection: connections[1] });
  twinwrite = await Twinwrite.connect({ client, taskQueue: world.name });
  worker = await world.startWorker({ updates: Object.values(kinds), temporal: { connection } });
  stranding = new Stranding({ ...world, twinwrite, temporal: client }, steering);
});

afterAll(async () => {
  await worker.stop();
  await Promise.all(connections.map((connection) => connection.close()));
  await proxy.close();
  await closeAll();
  await world.close();
});

/** An update that stops where it is told to. */
const begin = async (kind: Kind, input: Transfer, moment: Moment, run: number) => {
  const gate = stranding.stop(moment, input.id, run);
  await twinwrite.submit(kind, input);
  await gate.reached();
  return { kind, input, gate };
};

test('clause 9, F45: all that was begun is settled, and the tokens answer it in the new Temporal', async () => {
  const forward = await begin(kinds.transactionOnly, transfer(), 'mongo apply', 1);
  const projected = await begin(kinds.projection, transfer(), 'image', 2);
  const undoing = await begin(kinds.projection, transfer({ points: TOO_MANY }), 'undo', 1);
  const parked = { kind: kinds.transactionOnly, input: transfer({ points: TOO_MANY }) };
  await twinwrite.submit(parked.kind, parked.input);
  await stranding.reached(parked.input.id, 'parked');
  const { account } = forward.input;
  const waiting = [kinds.transaction, kinds.projection, kinds.projectionOnly].map((kind) => ({
    kind,
    input: transfer({ account }),
  }));
  for (const { kind, input } of waiting) {
    await twinwrite.submit(kind, input);
    await stranding.reached(input.id, 'queued');
  }

  if (temporal.process === undefined) throw new Error('it is the own server of this test');
  process.kill(temporal.process.processId, 'SIGKILL');
  await temporal.process.ended;
  const begun = [forward, projected, undoing];
  for (const { gate } of begun) gate.open();
  await tolerate(world, [parked.input.id, parked.input.account]);
  for (const { input } of [...begun, parked]) await stranding.makeOverdue(input.id);
  // Without any Temporal.
  const settled = await Promise.all(
    [...begun, parked].map(async ({ input }) => (await stranding.settled(input.id)).status),
  );
  expect(settled).toEqual(['applied', 'applied', 'compensated', 'applied']);

  const [first, ...others] = waiting;
  const turn = await stranding.settled(first?.input.id ?? '');
  expect(turn.status).toBe('applied');
  expect(turn.millis).toBeLessThan(TURN_BOUND_MILLIS);

  await startEmptyTemporal();
  for (const { input } of others) {
    expect((await stranding.settled(input.id)).status).toBe('applied');
  }
  const all = [forward, projected, undoing, parked, ...waiting];
  const answers = await Promise.all(
    all.map(async ({ kind, input }) => (await twinwrite.execute(kind, input)).status),
  );
  expect(answers).toEqual([...settled, ...waiting.map(() => 'applied')]);
  await expectAgreement(world, projected.kind, projected.input, 'applied');
  await expectAgreement(world, undoing.kind, undoing.input, 'compensated');
  await expectAgreement(world, parked.kind, parked.input, 'applied');
  const { rows } = await world.postgres.query(
    'select points from balance where account = $1 union all select count(*) from twinwrite.pending',
    [account],
  );
  expect(rows).toEqual([{ points: '20' }, { points: '0' }]);
});
