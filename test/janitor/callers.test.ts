/**
 * Goal: clause 9: a call that waits for its outcome gets it, although its workflow is terminated or
 * deleted meanwhile. Method: a client that is cut off from Temporal while that happens, so that it
 * finds out only afterwards.
 */
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { Client, Connection } from '@temporalio/client';
import { Twinwrite } from '../../src/client';
import { expectAgreement } from '../compensation/agreement';
import { Steering } from '../compensation/steering';
import { prepareTransfers, transfer, transferKinds } from '../compensation/transfers';
import { startTcpProxy, type TcpProxy } from '../support/tcp-proxy';
import { openWorld, type RunningWorker, type World } from '../support/world';
import { Stranding } from './stranded';

const steering = new Steering();
const { transaction } = transferKinds(steering, 4_000);

let world: World;
let proxy: TcpProxy;
let connection: Connection;
let twinwrite: Twinwrite;
let worker: RunningWorker;
let stranding: Stranding;

beforeAll(async () => {
  world = await openWorld();
  await prepareTransfers(world);
  const [host = '', port] = world.addresses.temporalAddress.split(':');
  proxy = await startTcpProxy({ host, port: Number(port) });
  connection = await Connection.connect({ address: `127.0.0.1:${proxy.port}` });
  const client = new Client({ connection });
  twinwrite = await Twinwrite.connect({ client, taskQueue: world.name });
  worker = await world.startWorker({ updates: [transaction] });
  stranding = new Stranding(world, steering);
});

afterAll(async () => {
  await worker.stop();
  await connection.close();
  await proxy.close();
  await world.close();
});

test.each(['terminated', 'deleted'] as const)(
  'a call whose workflow is %s while it does not look answers the outcome all the same',
  async (removal) => {
    const input = transfer();
    const gate = stranding.stop('mongo apply', input.id, 1);
    const outcome = twinwrite.execute(transaction, input);
    await gate.reached();
    proxy.cut();
    await stranding.remove(world.twinwrite.handle(transaction, input.id), removal);
    gate.open();
    proxy.mend();
    expect(await outcome).toMatchObject({ status: 'applied' });
    await expectAgreement(world, transaction, input, 'applied');
  },
);
