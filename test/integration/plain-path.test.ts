/**
 * Goal: the plain path of the protocol, end to end, in both forms of Mongo leg. Method: one suite
 * over the client SDK, run with a projection and with a transaction; both stores and the ledger are
 * read directly.
 */
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { eventually } from '../support/eventually';
import {
  type Hooks,
  prepareLedger,
  projectionEntry,
  transactionEntry,
} from '../support/ledger-definitions';
import { openWorld, type World } from '../support/world';

describe.each([
  { form: 'projection', define: projectionEntry },
  { form: 'transaction', define: transactionEntry },
])('$form form', ({ define }) => {
  let world: World;
  const hooks: Hooks = {};
  const definition = define(hooks);
  const runsOf = new Map<string, number>();

  beforeAll(async () => {
    world = await openWorld();
    await prepareLedger(world);
    hooks.postgres = (id) => {
      runsOf.set(id, (runsOf.get(id) ?? 0) + 1);
    };
    const worker = await world.startWorker({ updates: [definition] });
    stop = worker.stop;
  });
  let stop: () => Promise<void> = async () => {};

  afterAll(async () => {
    await stop();
    await world.close();
  });

  const rowOf = async (id: string) =>
    (await world.postgres.query('select points from entry where id = $1', [id])).rows[0];
  const documentOf = async (id: string) =>
    await world.mongo
      .db()
      .collection<{ _id: string }>('entries')
      .findOne({ _id: id, '_tw.live': { $ne: false } });
  const ledgerOf = async (id: string) =>
    (
      await world.postgres.query(
        'select state, postgres_leg, mongo_leg from twinwrite.updates where token = $1',
        [id],
      )
    ).rows[0];
  const bothOf = async (id: string) => ({ row: await rowOf(id), document: await documentOf(id) });

  test('an update is applied in both stores, and settled', async () => {
    const id = randomUUID();
    const outcome = await world.twinwrite.execute(definition, { id, account: 'a', points: 5 });
    expect(outcome).toEqual({ status: 'applied', result: { account: 'a' } });
    expect(await bothOf(id)).toMatchObject({ row: { points: 5 }, document: { points: 5 } });
    expect(await ledgerOf(id)).toEqual({
      state: 'applied',
      postgres_leg: 'applied',
      mongo_leg: 'applied',
    });
  });

  test('clause 3: ten concurrent duplicates have one effect and ten equal results', async () => {
    const id = randomUUID();
    const entry = { id, account: 'a', points: 7 };
    const outcomes = await Promise.all(
      Array.from({ length: 10 }, () => world.twinwrite.execute(definition, entry)),
    );
    expect(new Set(outcomes.map((outcome) => JSON.stringify(outcome))).size).toBe(1);
    expect(outcomes[0]).toEqual({ status: 'applied', result: { account: 'a' } });
    expect(runsOf.get(id)).toBe(1);
  });

  test('clause 1: a token used again with another input is refused, without effect', async () => {
    const id = randomUUID();
    await world.twinwrite.execute(definition, { id, account: 'a', points: 1 });
    const reuse = world.twinwrite.execute(definition, { id, account: 'a', points: 2 });
    await expect(reuse).rejects.toMatchObject({ code: 'TokenReused', token: id });
    expect(await bothOf(id)).toMatchObject({ row: { points: 1 }, document: { points: 1 } });
  });

  test('a refusal by the definition writes nothing in either store', async () => {
    const id = randomUUID();
    const outcome = await world.twinwrite.execute(definition, { id, account: 'a', points: 0 });
    expect(outcome).toEqual({
      status: 'refused',
      reason: { code: 'RefusedByDefinition', message: 'nothing to do' },
    });
    expect(await bothOf(id)).toEqual({ row: undefined, document: null });
    expect(await ledgerOf(id)).toMatchObject({ state: 'refused', postgres_leg: 'never ran' });
  });

  test('a refusal by a constraint names the constraint and not the row', async () => {
    const id = randomUUID();
    const outcome = await world.twinwrite.execute(definition, {
      id,
      account: 'secret',
      points: 13,
    });
    expect(outcome).toMatchObject({
      status: 'refused',
      reason: { code: 'RefusedByPostgres', constraint: 'entry_points_check' },
    });
    expect(JSON.stringify(outcome)).not.toContain('secret');
  });

  test('clause 5: what MongoDB refuses for good is undone in Postgres', async () => {
    const id = randomUUID();
    const outcome = await world.twinwrite.execute(definition, { id, account: 'a', points: 1_000 });
    expect(outcome).toMatchObject({ status: 'compensated', reason: { code: 'RefusedByMongo' } });
    expect(await bothOf(id)).toEqual({ row: undefined, document: null });
    expect(await ledgerOf(id)).toEqual({
      state: 'compensated',
      postgres_leg: 'undone',
      mongo_leg: 'undone',
    });
  });

  test('clause 3: a settled token answers its outcome when Temporal has forgotten it', async () => {
    const id = randomUUID();
    const entry = { id, account: 'a', points: 1_000 };
    const first = await executeForgotten(world, definition, entry);
    const again = await world.twinwrite.execute(definition, entry);
    expect(again).toEqual(first);
    expect(runsOf.get(id)).toBe(1);
  });

  test('clause 1: a wrong payload never stands in the way of the rightful caller (F11)', async () => {
    const id = randomUUID();
    const entry = { id, account: 'a', points: 3 };
    const first = await executeForgotten(world, definition, entry);
    const wrong = world.twinwrite.execute(definition, { ...entry, points: 4 });
    await expect(wrong).rejects.toMatchObject({ code: 'TokenReused' });
    expect(await world.twinwrite.execute(definition, entry)).toEqual(first);
  });

  test('clause 9: a terminated run is taken up again by the next call with its token', async () => {
    const id = randomUUID();
    let isHeld = true;
    hooks.undo = () => {
      if (isHeld) throw new Error('held by the test');
    };
    const entry = { id, account: 'a', points: 1_000 };
    const handle = await world.twinwrite.submit(definition, entry);
    await eventually(
      async () => ((await ledgerOf(id))?.state === 'undoing' ? true : undefined),
      'the update is being undone',
    );
    await world.temporal.workflow.getHandle(handle.workflowId).terminate('by the test');
    isHeld = false;
    const outcome = await world.twinwrite.execute(definition, entry);
    expect(outcome).toMatchObject({ status: 'compensated', reason: { code: 'RefusedByMongo' } });
    expect(await bothOf(id)).toEqual({ row: undefined, document: null });
    delete hooks.undo;
  });

  test('cancelled before its first leg, an update is refused and leaves a fence', async () => {
    await stop();
    const id = randomUUID();
    const handle = await world.twinwrite.submit(definition, { id, account: 'a', points: 2 });
    await handle.cancel();
    const worker = await world.startWorker({ updates: [definition] });
    stop = worker.stop;
    expect(await handle.outcome()).toMatchObject({
      status: 'refused',
      reason: { code: 'Cancelled' },
    });
    expect(runsOf.get(id)).toBeUndefined();
    expect(await bothOf(id)).toEqual({ row: undefined, document: null });
  });

  test('cancelling a settled update changes nothing, and is no error', async () => {
    const id = randomUUID();
    const handle = await world.twinwrite.submit(definition, { id, account: 'a', points: 2 });
    await handle.outcome();
    await handle.cancel();
    expect(await handle.outcome()).toMatchObject({ status: 'applied' });
    expect(await bothOf(id)).toMatchObject({ row: { points: 2 }, document: { points: 2 } });
  });

  test('clause 2: a schema tightened by a deploy refuses nothing that the ledger knows (F28)', async () => {
    const id = randomUUID();
    const entry = { id, account: 'a', points: 4 };
    const first = await executeForgotten(world, definition, entry);
    await stop();
    const tightened = { ...definition, input: definition.input.refine(() => false) as never };
    const worker = await world.startWorker({ updates: [tightened] });
    expect(await world.twinwrite.execute(definition, entry)).toEqual(first);
    const fresh = world.twinwrite.execute(definition, { ...entry, id: randomUUID() });
    await expect(fresh).rejects.toMatchObject({ code: 'InvalidInput' });
    await worker.stop();
    stop = (await world.startWorker({ updates: [definition] })).stop;
  });

  test('StillRunning says that the update goes on, and it does', async () => {
    const id = randomUUID();
    let isHeld = true;
    hooks.postgres = () => {
      if (isHeld) throw new Error('held by the test');
    };
    const entry = { id, account: 'a', points: 2 };
    const early = world.twinwrite.execute(definition, entry, { timeoutMillis: 300 });
    await expect(early).rejects.toMatchObject({ code: 'StillRunning', token: id });
    isHeld = false;
    expect(await world.twinwrite.handle(definition, id).outcome()).toMatchObject({
      status: 'applied',
    });
    delete hooks.postgres;
  });
});

/**
 * Runs an update under another workflow id, which leaves Temporal as if it had forgotten the token:
 * the ledger knows it, and its own workflow id is free.
 */
async function executeForgotten(
  world: World,
  definition: ReturnType<typeof projectionEntry | typeof transactionEntry>,
  input: { id: string; account: string; points: number },
): Promise<unknown> {
  return await world.temporal.workflow.execute('crossStoreUpdate', {
    workflowId: `forgotten/${input.id}`,
    taskQueue: world.name,
    args: [{ definition: definition.name, token: input.id, input }],
  });
}
