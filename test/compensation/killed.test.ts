/**
 * Goal: a worker that is killed in a compensation leaves nothing undone twice or by half: another one
 * finishes it (clause 5). Method: a real process that stops inside the undo in PostgreSQL, inside the
 * undo in MongoDB, and between the two, killed there; balances in both stores show what ran twice.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import * as mongoLeg from '../../src/activities/mongo/leg';
import * as postgresLeg from '../../src/activities/postgres/leg';
import { UpdateInHand } from '../../src/activities/update-in-hand';
import { workflowIdOf } from '../../src/domain/token';
import { eventually } from '../support/eventually';
import { openWorld, type World } from '../support/world';
import { expectAgreement } from './agreement';
import { Steering } from './steering';
import {
  type Kind,
  prepareTransfers,
  TOO_MANY,
  type Transfer,
  transfer,
  transferKinds,
} from './transfers';

const LEG_TIMEOUT_MILLIS = 2_000;

let world: World;
let child: ChildProcess | undefined;
const kinds = transferKinds(new Steering(), LEG_TIMEOUT_MILLIS);
/** The updates at which the process has stopped. */
const stopped = new Set<string>();

beforeAll(async () => {
  world = await openWorld();
  await prepareTransfers(world);
});

afterAll(async () => {
  child?.kill('SIGKILL');
  await world.close();
});

function startHangingWorker(): ChildProcess {
  const program = join(__dirname, 'fixtures', 'hanging-worker.ts');
  const started = spawn(process.execPath, ['--import', 'tsx', program], {
    cwd: join(__dirname, '..', '..'),
    stdio: ['ignore', 'pipe', 'inherit'],
    env: {
      PATH: process.env['PATH'],
      HOME: process.env['HOME'],
      TMPDIR: process.env['TMPDIR'],
      TEMPORAL_ADDRESS: world.addresses.temporalAddress,
      TWINWRITE_TASK_QUEUE: world.name,
      WORKER_SETTINGS: JSON.stringify({
        postgresUrl: world.postgresUrl,
        mongoUri: world.mongoUri,
        legTimeoutMillis: LEG_TIMEOUT_MILLIS,
      }),
    },
  });
  createInterface({ input: started.stdout }).on('line', (line) => stopped.add(line));
  return started;
}

const hangs = async (id: string) =>
  await eventually(() => (stopped.has(id) ? true : undefined), `the process hangs at ${id}`);

/** Brings both stores to where MongoDB has it and Postgres has decided that it is undone. */
const decideLate = async (kind: Kind, input: Transfer): Promise<void> => {
  const postgres = { pool: world.postgres, callTurns: () => {} };
  const workflowId = workflowIdOf(kind.name, input.id);
  const request = { definition: kind.name, token: input.id, input };
  const update = new UpdateInHand(kind, request, workflowId);
  const claimed = await postgresLeg.applyPostgres(postgres, update);
  if (claimed.at !== 'forward') throw new Error(`it is ${claimed.at}`);
  const mongo = { client: world.mongo, db: world.mongo.db() };
  await mongoLeg.applyMongo(mongo, world.postgres, update, claimed.claim);
  const reason = { code: 'Cancelled', message: 'by the test' } as const;
  await postgresLeg.fencePostgres(postgres, update, reason);
};

test('killed in an undo, in either store or between them, another worker undoes it, once', async () => {
  const inPostgres = [kinds.projection, kinds.transaction].map((kind) => ({
    kind,
    input: transfer({ id: `in undo ${randomUUID()}`, points: TOO_MANY }),
  }));
  const { transaction } = kinds;
  const inMongo = { kind: transaction, input: transfer({ id: `in mongo undo ${randomUUID()}` }) };
  const between = { kind: transaction, input: transfer({ id: `between ${randomUUID()}` }) };
  child = startHangingWorker();
  const killed = new Promise((resolve) => child?.once('close', (_, signal) => resolve(signal)));
  const handles = [];
  for (const { kind, input } of [inMongo, between]) await decideLate(kind, input);
  // The last one stops the whole process.
  for (const { kind, input } of [...inPostgres, inMongo, between]) {
    handles.push({ kind, input, handle: await world.twinwrite.submit(kind, input) });
    await hangs(input.id);
  }
  child.kill('SIGKILL');
  expect(await killed).toBe('SIGKILL');
  const worker = await world.startWorker({ updates: Object.values(kinds) });
  for (const { kind, input, handle } of handles) {
    expect(await handle.outcome({ timeoutMillis: 30_000 })).toMatchObject({
      status: 'compensated',
    });
    await expectAgreement(world, kind, input, 'compensated');
  }
  await worker.stop();
});
