/**
 * Goal: whoever starts our workflow past our client is refused by the worker, quickly and for good:
 * the workflow fails as `InvalidInput`, nothing is written, and no workflow is stuck (clause 2).
 * Method: the table of hazards as JSON text, and requests that are none, started by Temporal's own
 * command line and by its bare service.
 */
import { randomUUID } from 'node:crypto';
import { existsSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { Client, type Connection } from '@temporalio/client';
import { NativeConnection } from '@temporalio/worker';
import { eventually } from '../support/eventually';
import { stackAddresses } from '../support/stack-addresses';
import { openWorld, type RunningWorker, type World } from '../support/world';
import { CARRIERS, prepareCarriers, projectionCarrier, tracesOf } from './carriers';
import { HAZARDS } from './hazards';
import { listed, type RawRow, ROWS, wrong } from './raw-requests';
import { type Ending, endingOf, type RawStart, startByCommand, startRaw } from './raw-starts';

let world: World;
let worker: RunningWorker;

beforeAll(async () => {
  world = await openWorld();
  await prepareCarriers(world);
  const updates = [...CARRIERS.map(({ definition }) => definition), listed];
  worker = await world.startWorker({ updates });
});

afterAll(async () => {
  await worker.stop();
  await world.close();
  expect(({} as { polluted?: unknown }).polluted).toBeUndefined();
});

/** The same world, with a worker of its own in another namespace. */
async function openIn(outer: World, namespace: string) {
  const connection = await NativeConnection.connect({ address: outer.addresses.temporalAddress });
  const temporal = new Client({ connection: outer.temporal.connection, namespace });
  await eventually(
    () =>
      temporal.workflow.count().then(
        () => true,
        () => undefined,
      ),
    'the namespace is there',
  );
  const updates = [projectionCarrier];
  const member = await outer.startWorker({ updates, temporal: { connection, namespace } });
  const close = async () => {
    await member.stop();
    await connection.close();
  };
  return { world: { ...outer, temporal }, close };
}

/** Starts rows all at once, and lets each test wait for its own. */
function endingsOf(rows: readonly RawRow[], start: (raw: RawStart) => Promise<void>) {
  const endings = new Map<RawRow, Promise<Ending>>();
  const begin = () => {
    for (const each of rows) {
      const workflowId = `raw/${randomUUID()}`;
      const payloads = each.text === undefined ? [] : [{ data: each.text, ...each.further }];
      const ending = start({ workflowId, payloads }).then(() => endingOf(world, workflowId));
      // Its own test tells.
      ending.catch(() => {});
      endings.set(each, ending);
    }
  };
  return {
    begin,
    of: (each: RawRow) => endings.get(each) ?? Promise.reject(new Error('not begun')),
  };
}

async function expectRefusal(ending: Promise<Ending>, { path, id }: RawRow): Promise<void> {
  expect(await ending).toMatchObject({
    status: 'FAILED',
    failedTasks: 0,
    failure: {
      type: 'InvalidInput',
      fields: { issues: expect.arrayContaining([expect.objectContaining({ path })]) },
    },
  });
  expect((await ending).failure?.message.length).toBeLessThan(8_000);
  expect(await tracesOf(world, id)).toBe(0);
}

describe('started past our client', () => {
  const endings = endingsOf(ROWS, (raw) => startRaw(world, raw));

  beforeAll(endings.begin);

  test.each(ROWS)('clause 2: $name is refused', async (each) => {
    await expectRefusal(endings.of(each), each);
  });

  test('clause 2: what is harmless is carried as the text means it', async () => {
    const harmless = HAZARDS.filter((hazard) => hazard.text !== undefined && !hazard.refused);
    const ends = await Promise.all(
      harmless.map(async ({ name, text: value, carried }) => {
        const id = randomUUID();
        const request = wrong(
          name,
          { token: JSON.stringify(id), input: `{"id": ${JSON.stringify(id)}, "value": ${value}}` },
          '',
        );
        const workflowId = `raw/${randomUUID()}`;
        await startRaw(world, { workflowId, payloads: [{ data: request.text }] });
        return { name, carried, ending: await endingOf(world, workflowId) };
      }),
    );
    expect(ends.length).toBeGreaterThan(15);
    for (const { carried, ending } of ends) {
      expect(ending).toEqual({
        status: 'COMPLETED',
        failedTasks: 0,
        result: { status: 'applied', result: { value: carried } },
      });
    }
  });

  test('clause 2: what a later client may add is left out, and the update is applied', async () => {
    // Handed on to an activity, these digits would be more than Temporal takes.
    const parts = { colour: '"blue"', ballast: `[1e20${',1e20'.repeat(180_000)}]` };
    const { text: data } = wrong('', parts, '');
    const workflowId = `raw/${randomUUID()}`;
    await startRaw(world, { workflowId, payloads: [{ data }, { data: '"a second argument"' }] });
    expect(await endingOf(world, workflowId)).toMatchObject({
      status: 'COMPLETED',
      failedTasks: 0,
      result: { status: 'applied' },
    });
  });

  test('clause 2: search attributes that the namespace lacks are not filled, whatever is asked', async () => {
    const namespace = `test-${randomUUID()}`;
    const { connection } = world.temporal;
    const day = { seconds: 86_400 as never };
    await connection.workflowService.registerNamespace({
      namespace,
      workflowExecutionRetentionPeriod: day,
    });
    const own = await openIn(world, namespace);
    const { text: data } = wrong('', { searchAttributes: 'true' }, '');
    const workflowId = `raw/${randomUUID()}`;
    await startRaw(own.world, { workflowId, payloads: [{ data }] });
    expect(await endingOf(own.world, workflowId)).toMatchObject({
      status: 'COMPLETED',
      failedTasks: 0,
      result: { status: 'applied' },
    });
    await own.close();
    await (connection as Connection).operatorService.deleteNamespace({ namespace });
  });

  test('clause 2: a definition that no worker has is waited for, as a deploy may bring it', async () => {
    const { text: data } = wrong('', { definition: '"comesLater"' }, '');
    const workflowId = `raw/${randomUUID()}`;
    await startRaw(world, { workflowId, payloads: [{ data }] });
    const workflow = world.temporal.workflow.getHandle(workflowId);
    await eventually(async () => {
      const { raw } = await workflow.describe();
      const [pending] = raw.pendingActivities ?? [];
      const type = pending?.lastFailure?.applicationFailureInfo?.type;
      return type === 'UnknownDefinition' || undefined;
    }, 'it is seen to wait for its definition');
    await workflow.terminate('it never comes');
  });
});

describe("started by Temporal's own command line", () => {
  const program = commandLine();
  const names = new Set([
    'no argument',
    'null',
    'an array',
    'a request behind __proto__',
    'a token of 10,000 characters',
    'a leg timeout of thirty years',
    'entities that are a number',
    '5,000 levels',
    '-0',
    'U+0000',
    '__proto__',
    '{"$where": …}',
  ]);
  const rows = ROWS.filter(({ name }) => names.has(name)).map((each) => ({ ...each }));
  const endings = endingsOf(rows, (raw) => startByCommand(world, program ?? '', raw));

  // Where Temporal was given by the environment, its command line need not be here.
  const testWithProgram = program === undefined ? test.skip : test;

  testWithProgram('clause 2: the worst of it is refused as well', async () => {
    expect(rows).toHaveLength(names.size);
    endings.begin();
    for (const each of rows) await expectRefusal(endings.of(each), each);
  });
});

function commandLine(): string | undefined {
  const { temporalProgram } = stackAddresses();
  const folders = (process.env['PATH'] ?? '').split(delimiter);
  return temporalProgram ?? folders.map((folder) => join(folder, 'temporal')).find(existsSync);
}
