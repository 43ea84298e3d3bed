/**
 * Goal: clause 9, F23, F31: an update whose workflow is terminated, deleted or timed out, wherever
 * it stands, reaches its outcome within the bound that the janitor documents, the same in both
 * stores, and its token answers it. Method: real workflows that are taken away in the middle of a
 * step, whose attempt then fails; nobody but the janitor goes on with them, and no clock is turned.
 */
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import type { Outcome } from 'twinwrite';
import * as postgresLeg from '../../src/activities/postgres/leg';
import { UpdateInHand } from '../../src/activities/update-in-hand';
import { expectAgreement } from '../compensation/agreement';
import { Steering } from '../compensation/steering';
import {
  type Kind,
  prepareTransfers,
  TOO_MANY,
  type Transfer,
  transfer,
  transferKinds,
} from '../compensation/transfers';
import { openWorld, type RunningWorker, type World } from '../support/world';
import { Stranding } from './stranded';

const LEG_MILLIS = 4_000;

/** What the janitor promises: the driver's time, a second to look, and its own legs. */
const BOUND_MILLIS = 10_000 + 1_000 + LEG_MILLIS;

/** The same for whoever waits, and is gone when its turn comes, or is there and does not come. */
const TURN_BOUND_MILLIS = 4_000 + LEG_MILLIS;
const DEAD_BOUND_MILLIS = 12_000 + LEG_MILLIS;

const steering = new Steering();
const kinds = transferKinds(steering, LEG_MILLIS);

interface Stranded {
  readonly input: Transfer;
  readonly millis: number;
  readonly status: Outcome['status'];
}

let world: World;
let worker: RunningWorker;
let stranding: Stranding;

/** In the middle of a step; the run of the callback says of which. */
const IN_A_STEP = [
  ['forward', 'projection', 'image', 2, 'terminated', 'applied'],
  ['forward', 'projection', 'image', 2, 'timed out', 'applied'],
  ['forward', 'projectionOnly', 'image', 2, 'deleted', 'applied'],
  ['forward', 'transaction', 'mongo apply', 1, 'deleted', 'applied'],
  ['forward', 'transactionHalf', 'mongo apply', 1, 'timed out', 'applied'],
  ['forward', 'transactionOnly', 'mongo apply', 1, 'terminated', 'applied'],
  ['undoing, not undone yet', 'projection', 'undo', 1, 'deleted', 'compensated'],
  ['undoing, undone in Postgres', 'projection', 'image', 3, 'terminated', 'compensated'],
  ['undoing', 'transaction', 'undo', 1, 'terminated', 'compensated'],
  ['undoing', 'transactionHalf', 'undo', 1, 'timed out', 'compensated'],
] as const;

/** Behind an update that holds the account; `granted` stops in the leg that its turn began. */
const IN_THE_QUEUE = [
  ['queued', 'projection', 'terminated', 5, 'applied'],
  ['queued', 'projectionOnly', 'deleted', 5, 'applied'],
  ['queued', 'transaction', 'deleted', 13, 'refused'],
  ['granted', 'projectionOnly', 'terminated', 5, 'applied'],
  ['granted', 'transaction', 'deleted', 5, 'applied'],
] as const;

const stranded = new Map<string, Promise<Stranded>>();
const nameOf = (...parts: readonly unknown[]) => parts.join(' ');

/** From when it stands where its workflow goes, which is after its claim. */
async function strandInStep(row: (typeof IN_A_STEP)[number]): Promise<Stranded> {
  const [stage, kindName, moment, run, removal] = row;
  const input = transfer(stage === 'forward' ? {} : { points: TOO_MANY });
  const gate = stranding.stop(moment, input.id, run);
  await stranding.strand(kinds[kindName], input, gate, removal);
  return { input, ...(await stranding.settled(input.id)) };
}

/** From when its turn comes. */
async function strandInQueue(row: (typeof IN_THE_QUEUE)[number]): Promise<Stranded> {
  const [stage, kindName, removal, points] = row;
  const { input: held, gate: turn, handle: holder } = await stranding.hold(kinds.transaction);
  const input = transfer({ account: held.account, points });
  const gate = stranding.stop('apply', input.id, stage === 'granted' ? 1 : Infinity);
  const handle = await stranding.submit(kinds[kindName], input, removal);
  await stranding.reached(input.id, 'queued');
  if (stage === 'queued') await stranding.remove(handle, removal);
  turn.open();
  await holder.outcome();
  if (stage === 'granted') {
    await gate.reached();
    await stranding.remove(handle, removal);
    gate.open();
  }
  return { input, ...(await stranding.settled(input.id)) };
}

/** Its workflow is open and hears every call, and no worker has its task queue. */
async function strandOpenAndDead(): Promise<Stranded> {
  const { input: held, gate: turn, handle: holder } = await stranding.hold(kinds.transaction);
  const input = transfer({ account: held.account });
  const request = { definition: 'transaction', token: input.id, input };
  const { workflowId } = await world.temporal.workflow.start('crossStoreUpdate', {
    workflowId: `dead/${input.id}`,
    taskQueue: `${world.name}-without-workers`,
    args: [request],
  });
  const update = new UpdateInHand(kinds.transaction, request, workflowId);
  await postgresLeg.applyPostgres({ pool: world.postgres, callTurns: () => {} }, update);
  await stranding.reached(input.id, 'queued');
  turn.open();
  await holder.outcome();
  const settled = await stranding.settled(input.id);
  await world.temporal.workflow.getHandle(workflowId).terminate();
  return { input, ...settled };
}

beforeAll(async () => {
  world = await openWorld();
  await prepareTransfers(world);
  worker = await world.startWorker({ updates: Object.values(kinds) });
  stranding = new Stranding(world, steering);
  for (const row of IN_A_STEP) stranded.set(nameOf(...row), strandInStep(row));
  for (const row of IN_THE_QUEUE) stranded.set(nameOf(...row), strandInQueue(row));
  stranded.set('open and dead', strandOpenAndDead());
  await Promise.allSettled(stranded.values());
});

afterAll(async () => {
  await worker.stop();
  await world.close();
});

const strandedAs = async (name: string): Promise<Stranded> => {
  const found = await stranded.get(name);
  if (found === undefined) throw new Error(`nobody was stranded as ${name}`);
  return found;
};

/** Temporal knows no outcome: a new run asks the ledger. */
const expectAnswer = async (kind: Kind, { input, status }: Stranded): Promise<void> => {
  expect(await world.twinwrite.execute(kind, input)).toMatchObject({ status });
};

test.each(IN_A_STEP)(
  'clause 9: %s (%s, in its %s, run %i), %s: %s within the bound, and its token says so',
  async (...row) => {
    const [, kindName, , , , status] = row;
    const found = await strandedAs(nameOf(...row));
    expect(found.status).toBe(status);
    expect(found.millis).toBeLessThan(BOUND_MILLIS);
    await expectAgreement(world, kinds[kindName], found.input, status);
    await expectAnswer(kinds[kindName], found);
    await expectAgreement(world, kinds[kindName], found.input, status);
  },
);

test.each(IN_THE_QUEUE)(
  'clause 9, F31: %s (%s), %s, with %i points: %s soon after its turn, and its token says so',
  async (...row) => {
    const [, kindName, , , status] = row;
    const found = await strandedAs(nameOf(...row));
    expect(found.status).toBe(status);
    expect(found.millis).toBeLessThan(TURN_BOUND_MILLIS);
    await expectAnswer(kinds[kindName], found);
    expect(await pointsOf(found)).toBe(status === 'applied' ? 5 : 0);
  },
);

test('clause 9, F23: queued, open and dead: applied soon after its turn, and its token says so', async () => {
  const found = await strandedAs('open and dead');
  expect(found.status).toBe('applied');
  expect(found.millis).toBeLessThan(DEAD_BOUND_MILLIS);
  await expectAnswer(kinds.transaction, found);
  expect(await pointsOf(found)).toBe(5);
});

/** The balance of the account, in Postgres: the holder put nothing on it. */
async function pointsOf({ input: { account } }: Stranded): Promise<number | undefined> {
  const { rows } = await world.postgres.query<{ points: number }>(
    'select points from balance where account = $1',
    [account],
  );
  return rows[0]?.points;
}
