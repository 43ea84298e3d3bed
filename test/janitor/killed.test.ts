/**
 * Goal: clause 9: a janitor that is killed in the middle of a drive leaves nothing done twice or by
 * half, and what it had taken comes back by itself. Method: a worker process that is killed with its
 * janitor in a Postgres leg whose turn had come, and in a Mongo leg (F13); the updates have no
 * workflow at all.
 */
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import * as postgresLeg from '../../src/activities/postgres/leg';
import { UpdateInHand } from '../../src/activities/update-in-hand';
import { workflowSource } from '../../src/worker/workflow-source';
import { type DoomedWorker, startDoomedWorker } from '../order/doomed-worker';
import { defineLines } from '../order/lines';
import { LinesWorld } from '../order/lines-world';
import type { RunningWorker } from '../support/world';

const { transaction } = defineLines();
let lines: LinesWorld;
let doomed: DoomedWorker | undefined;
let survivor: RunningWorker | undefined;

beforeAll(async () => {
  lines = await LinesWorld.open();
});

afterAll(async () => {
  await doomed?.kill();
  await survivor?.stop();
  await lines.close();
});

const claim = async (id: string, line: string) => {
  const request = { definition: transaction.name, token: id, input: { id, lines: [line] } };
  const update = new UpdateInHand(transaction, request, `nobody/${id}`);
  const store = { pool: lines.world.postgres, callTurns: () => {} };
  return (await postgresLeg.applyPostgres(store, update)).at;
};

test('killed in a leg, the janitor of another worker goes on from there, once', async () => {
  const [inMongo, inPostgres] = [await lines.openLine(), await lines.openLine()];
  const [holder, waiter] = [randomUUID(), randomUUID()];
  const hold = await lines.hold(`line:${inPostgres}`);
  expect(await claim(holder, inMongo)).toBe('forward');
  expect(await claim(waiter, inPostgres)).toBe('waiting');
  await hold.release();
  await lines.world.postgres.query('update twinwrite.pending set due = now()');
  const stops = [`mongo ${holder}`, `postgres ${waiter}`];
  doomed = startDoomedWorker(lines.world, lines.world.addresses.temporalAddress, stops);
  await Promise.all([...stops.map((stop) => doomed?.reached(stop)), workflowSource()]);
  await doomed.kill();
  // They come back by themselves, ten seconds after they were taken: nobody has to know of the kill.
  const { rows: taken } = await lines.world.postgres.query(
    `select tries, due between now() and now() + interval '10 seconds' as "comesBack" from twinwrite.pending`,
  );
  expect(taken).toEqual([1, 1].map((tries) => ({ tries, comesBack: true })));
  await lines.world.postgres.query('update twinwrite.pending set due = now()');
  survivor = await lines.world.startWorker({ updates: [transaction], postgres: lines.pool });
  await lines.reached(holder, 'applied');
  await lines.reached(waiter, 'applied');
  const listOf = async (line: string) => await lines.listsOf(line, 'transaction');
  expect(await listOf(inMongo)).toEqual({ postgres: [holder], mongo: [holder] });
  expect(await listOf(inPostgres)).toEqual({ postgres: [waiter], mongo: [waiter] });
});
