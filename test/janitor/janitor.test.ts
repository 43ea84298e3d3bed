/**
 * Goal: clause 9: the janitor is one more driver, which does no harm beside workflows that live,
 * beside other janitors, or when it is stopped or killed in the middle. Method: updates claimed by
 * the real leg without any workflow, made overdue, under workers that really run.
 */
import { randomUUID } from 'node:crypto';
import { afterAll, afterEach, beforeAll, expect, test } from '@jest/globals';
import { Pool } from 'pg';
import pino from 'pino';
import { createAttempts } from '../../src/activities/attempts';
import * as postgresLeg from '../../src/activities/postgres/leg';
import { UpdateInHand } from '../../src/activities/update-in-hand';
import { workflowIdOf } from '../../src/domain/token';
import { expectAgreement } from '../compensation/agreement';
import { Steering } from '../compensation/steering';
import {
  type Kind,
  prepareTransfers,
  stateOf,
  TOO_MANY,
  type Transfer,
  transfer,
  transferKinds,
} from '../compensation/transfers';
import { eventually } from '../support/eventually';
import { openWorld, type RunningWorker, type World } from '../support/world';
import { Stranding } from './stranded';

const steering = new Steering();
const kinds = transferKinds(steering, 4_000);
const definitions = Object.values(kinds);

let world: World;
let stranding: Stranding;
const workers: RunningWorker[] = [];

beforeAll(async () => {
  world = await openWorld();
  await prepareTransfers(world);
  stranding = new Stranding(world, steering);
});

afterEach(async () => {
  for (const worker of workers.splice(0)) await worker.stop();
});

afterAll(async () => {
  await world.close();
});

interface LogLine {
  readonly msg: string;
  readonly token?: string;
}

/** A worker, and what it logs as a warning. */
async function startWorker(options: Partial<Parameters<World['startWorker']>[0]> = {}) {
  const lines: LogLine[] = [];
  const stream = { write: (line: string) => lines.push(JSON.parse(line) as LogLine) };
  const logger = pino({ level: 'warn' }, stream);
  const worker = await world.startWorker({ updates: definitions, logger, ...options });
  workers.push(worker);
  const taken = () => lines.filter(({ msg }) => msg.includes('the janitor drives it'));
  return { worker, taken };
}

/** Runs the Postgres leg, as a workflow would that is gone right after; answers how to settle it. */
async function claim(kind: Kind, input: Transfer): Promise<() => Promise<void>> {
  const request = { definition: kind.name, token: input.id, input };
  const update = new UpdateInHand(kind, request, workflowIdOf(kind.name, input.id));
  const store = { pool: world.postgres, callTurns: () => {} };
  const answer = await postgresLeg.applyPostgres(store, update);
  if (answer.at !== 'forward') throw new Error(`it is ${answer.at}`);
  return async () => {
    await postgresLeg.settle(store, update, answer.claim);
  };
}

async function claimOverdue(kind: Kind, input = transfer()): Promise<Transfer> {
  await claim(kind, input);
  await stranding.makeOverdue(input.id);
  return input;
}

async function metricsOf({ health }: RunningWorker, name: string): Promise<number> {
  const page = await (await fetch(`${health?.url}/metrics`)).text();
  const values = page.split('\n').filter((line) => line.startsWith(`${name}{`));
  return values.reduce((sum, line) => sum + Number(line.split(' ').at(-1)), 0);
}

test('two janitors at once drive each update once, a few at a time, and count it', async () => {
  const { transaction, projection } = kinds;
  const all: { kind: Kind; input: Transfer }[] = [];
  const legs = { running: 0, most: 0 };
  const beCounted = async () => {
    legs.most = Math.max(legs.most, ++legs.running);
    await world.postgres.query('select pg_sleep(0.01)');
    legs.running -= 1;
  };
  for (let index = 0; index < 20; index += 1) {
    for (const kind of [transaction, projection]) {
      const input = await claimOverdue(kind);
      steering.at(kind === transaction ? 'mongo apply' : 'image', input.id, beCounted);
      all.push({ kind, input });
    }
  }
  const pools = [1, 2].map(() => new Pool({ connectionString: world.postgresUrl, max: 8 }));
  const both = await Promise.all(
    pools.map((postgres) =>
      startWorker({ postgres, health: { port: 0 }, taskQueue: randomUUID() }),
    ),
  );
  for (const { kind, input } of all) {
    expect((await stranding.settled(input.id)).status).toBe('applied');
    await expectAgreement(world, kind, input, 'applied');
  }
  for (const { input } of all.filter(({ kind }) => kind === transaction)) {
    expect(steering.runs('mongo apply', input.id)).toBe(1);
  }
  const taken = both.flatMap((each) => each.taken().map(({ token = '' }) => token));
  expect(taken.sort()).toEqual(all.map(({ input }) => input.id).sort());
  for (const { taken: own } of both) expect(own().length).toBeGreaterThan(0);
  // A quarter of eight connections each.
  expect(legs.most).toBeGreaterThan(1);
  expect(legs.most).toBeLessThanOrEqual(4);
  for (const name of ['twinwrite_janitor_taken_total', 'twinwrite_janitor_settled_total']) {
    const counts = await Promise.all(both.map(({ worker }) => metricsOf(worker, name)));
    expect(counts.reduce((sum, count) => sum + count, 0)).toBe(all.length);
  }
  for (const worker of workers.splice(0)) await worker.stop();
  for (const pool of pools) await pool.end();
});

test('beside a workflow that lives it does nothing twice, in either form and stage', async () => {
  const { taken } = await startWorker();
  const cases = [
    { kind: kinds.transaction, moment: 'mongo apply', run: 1, status: 'applied' },
    { kind: kinds.projection, moment: 'image', run: 2, status: 'applied' },
    { kind: kinds.transaction, moment: 'undo', run: 1, status: 'compensated' },
    { kind: kinds.projection, moment: 'undo', run: 1, status: 'compensated' },
  ] as const;
  await Promise.all(
    cases.map(async ({ kind, moment, run, status }) => {
      const input = transfer(status === 'applied' ? {} : { points: TOO_MANY });
      const gate = steering.gate(moment, input.id, run);
      const handle = await world.twinwrite.submit(kind, input);
      await gate.reached();
      await stranding.makeOverdue(input.id);
      await eventually(
        () => taken().some(({ token }) => token === input.id) || undefined,
        'the janitor has taken it as well',
      );
      gate.open();
      expect(await handle.outcome()).toMatchObject({ status });
      await expectAgreement(world, kind, input, status);
    }),
  );
});

test('F23: a workflow that is open and dead is not asked; terminated, its token answers', async () => {
  const input = transfer();
  const { projection } = kinds;
  const { workflowId } = world.twinwrite.handle(projection, input.id);
  await world.temporal.workflow.start('crossStoreUpdate', {
    workflowId,
    taskQueue: `${world.name}-without-workers`,
    args: [{ definition: projection.name, token: input.id, input }],
  });
  await claimOverdue(projection, input);
  await startWorker();
  expect((await stranding.settled(input.id)).status).toBe('applied');
  const workflow = world.temporal.workflow.getHandle(workflowId);
  expect((await workflow.describe()).status.name).toBe('RUNNING');
  await workflow.terminate();
  await expect(world.twinwrite.handle(projection, input.id).outcome()).rejects.toMatchObject({
    code: 'EndedWithoutOutcome',
  });
  expect(await world.twinwrite.execute(projection, input)).toMatchObject({ status: 'applied' });
  await expectAgreement(world, projection, input, 'applied');
});

test('clause 7: a turn that it takes is told to the workflow that waits for it', async () => {
  const { transaction } = kinds;
  const held = transfer();
  const release = await claim(transaction, held);
  const { worker } = await startWorker();
  const input = transfer({ account: held.account });
  const waiter = await world.twinwrite.submit(transaction, input);
  await stranding.reached(input.id, 'queued');
  await worker.stop();
  // Whoever releases it dies before the call, and so do all who call again.
  await release();
  await world.postgres.query(
    `update twinwrite.pending set calls = 2, due = now() where stage = 'granted' and tokens[1] = $1`,
    [input.id],
  );
  const { worker: other } = await startWorker({ taskQueue: randomUUID() });
  expect((await stranding.settled(input.id)).status).toBe('applied');
  await other.stop();
  workers.splice(0);
  await startWorker();
  expect(await waiter.outcome({ timeoutMillis: 10_000 })).toMatchObject({ status: 'applied' });
});

test('what its worker has no definition of is left to one that has', async () => {
  const input = await claimOverdue(kinds.projection);
  const other = await claimOverdue(kinds.transaction);
  await startWorker({ updates: [kinds.transaction] });
  expect((await stranding.settled(other.id)).status).toBe('applied');
  expect(await stateOf(world, input.id)).toBe('forward');
  await startWorker({ updates: [kinds.projection], taskQueue: randomUUID() });
  expect((await stranding.settled(input.id)).status).toBe('applied');
});

test('stopped in the middle of a drive it ends the step, begins no other, and the next one goes on', async () => {
  const input = transfer({ points: TOO_MANY });
  const gate = steering.gate('undo', input.id);
  const { worker } = await startWorker();
  await claimOverdue(kinds.projection, input);
  await gate.reached();
  const stopped = worker.stop();
  workers.splice(0);
  gate.open();
  await stopped;
  const { rows } = await world.postgres.query(
    'select state, postgres_leg, mongo_leg from twinwrite.updates where token = $1',
    [input.id],
  );
  expect(rows).toEqual([{ state: 'undoing', postgres_leg: 'undone', mongo_leg: 'pending' }]);
  await stranding.makeOverdue(input.id);
  await startWorker();
  expect((await stranding.settled(input.id)).status).toBe('compensated');
  await expectAgreement(world, kinds.projection, input, 'compensated');
});

test('F31: what keeps failing is parked by it too, and finishes once it is mended', async () => {
  const input = transfer();
  let isBroken = true;
  steering.at('mongo apply', input.id, () => {
    if (isBroken) throw new Error('a bug of the test');
  });
  await claim(kinds.transaction, input);
  // Its sixth try is its last one before that.
  await world.postgres.query(
    'update twinwrite.pending set due = now(), tries = 5 where tokens[1] = $1',
    [input.id],
  );
  await startWorker();
  await stranding.reached(input.id, 'parked');
  const { rows } = await world.postgres.query<{ parked: string; later: boolean }>(
    `select parked, due > now() + interval '50 seconds' as later from twinwrite.unsettled where token = $1`,
    [input.id],
  );
  expect(rows).toEqual([{ parked: 'applyMongo: a bug of the test', later: true }]);
  isBroken = false;
  await stranding.makeOverdue(input.id);
  expect((await stranding.settled(input.id)).status).toBe('applied');
  await expectAgreement(world, kinds.transaction, input, 'applied');
});

test('it begins nothing: a token that the ledger has not is not claimed', async () => {
  const { postgres, mongo } = world;
  const dependencies = { updates: definitions, postgres, mongo };
  const attempts = createAttempts({ ...dependencies, observe: () => {}, callTurns: () => {} });
  const input = transfer();
  const request = { definition: 'transaction', token: input.id, input };
  const janitor = { number: 1, workflow: undefined };
  await expect(attempts.applyPostgres(janitor, request)).rejects.toMatchObject({
    type: 'UnknownUpdate',
  });
  expect(await stateOf(world, input.id)).toBeUndefined();
  expect(steering.runs('apply', input.id)).toBe(0);
});
