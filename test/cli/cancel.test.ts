/**
 * Goal: an operator takes an update back, knows before what that leads to, and whoever looks later
 * learns who did it and why. Method: the real command as a process of its own, against updates that
 * are stopped in each place where a cancellation may meet them.
 */
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { eventually } from '../support/eventually';
import { prepareLedger, transactionEntry } from '../support/ledger-definitions';
import { openWorld, type RunningWorker, type World } from '../support/world';
import { environmentOf, runCli } from './run-cli';

describe('twinwrite cancel', () => {
  let world: World;
  let worker: RunningWorker;
  const blocked = new Set<string>();
  const entry = transactionEntry({
    mongo: (id) => {
      if (blocked.has(id)) throw Object.assign(new Error('not yet'), { code: 'ECONNRESET' });
    },
  });

  beforeAll(async () => {
    world = await openWorld();
    await prepareLedger(world);
    worker = await world.startWorker({ updates: [entry] });
  });

  afterAll(async () => {
    await worker.stop();
    await world.close();
  });

  const run = async (args: readonly string[], env = environmentOf(world)) =>
    await runCli(['cancel', 'transactionEntry', ...args], { env });
  const reasonsOf = async (token: string) => {
    const { rows } = await world.postgres.query(
      'select verb, reason, actor from twinwrite.intervention where token = $1',
      [token],
    );
    return rows;
  };

  /** An update whose Mongo leg keeps failing, and one that waits behind it. */
  const hold = async () => {
    const [holder, waiter, account] = [randomUUID(), randomUUID(), randomUUID()];
    blocked.add(holder);
    const handle = await world.twinwrite.submit(entry, { id: holder, account, points: 1 });
    await eventually(
      async () => ((await handle.progress()).leg === 'applyMongo' ? true : undefined),
      'it has its Postgres leg',
    );
    const behind = await world.twinwrite.submit(entry, { id: waiter, account, points: 1 });
    await eventually(
      async () => ((await behind.progress()).done.length > 0 ? true : undefined),
      'the second one waits',
    );
    return { handle, behind };
  };

  test('a dry run tells what would become of it; the command takes it back, and its reason is kept', async () => {
    const { handle, behind } = await hold();
    const [foretold, unwritten] = await Promise.all([
      run([handle.token, '--dry-run']),
      run([behind.token, '--dry-run', '--json']),
    ]);
    expect(foretold).toEqual({
      code: 0,
      stdout: `transactionEntry ${handle.token} would be asked to go back: what it wrote is undone in both stores. Nothing was done.\n`,
      stderr: '',
    });
    expect(JSON.parse(unwritten.stdout)).toMatchObject({
      state: 'waiting',
      prospect: 'refused',
      isDryRun: true,
      outcome: null,
    });
    expect(await reasonsOf(handle.token)).toEqual([]);

    const waiter = await run([behind.token, '--json']);
    expect(JSON.parse(waiter.stdout)).toMatchObject({
      state: 'waiting',
      requested: true,
      outcome: { status: 'refused', reason: { code: 'Cancelled' } },
    });
    const holder = await run([handle.token, '--reason', 'ordered twice']);
    expect(holder).toEqual({
      code: 0,
      stdout: `transactionEntry ${handle.token} was taken back: compensated.\n`,
      stderr: '',
    });
    expect(await reasonsOf(handle.token)).toEqual([
      { verb: 'cancel', reason: 'ordered twice', actor: expect.stringMatching(/^.+@.+$/) },
    ]);
    const { events } = await world.temporal.workflow.getHandle(handle.workflowId).fetchHistory();
    const requests = events?.map((event) => event.workflowExecutionCancelRequestedEventAttributes);
    expect(requests?.find(Boolean)?.cause).toBe('ordered twice');
  });

  test('one that is settled stays so', async () => {
    const id = randomUUID();
    await world.twinwrite.execute(entry, { id, account: id, points: 1 });
    const elsewhere = { ...environmentOf(world), TEMPORAL_NAMESPACE: 'temporal-system' };
    const settled = `transactionEntry ${id} is settled already: applied. Nothing was done.\n`;
    expect(await run([id])).toEqual({ code: 0, stdout: settled, stderr: '' });
    expect(await run([id], elsewhere)).toEqual({ code: 0, stdout: settled, stderr: '' });
    expect(await reasonsOf(id)).toEqual([]);
  });

  test('one that is not settled in some seconds is told to go on; without the ledger nothing is foretold', async () => {
    const { handle, behind } = await hold();
    await worker.stop();
    const { DATABASE_URL: _postgres, MONGODB_URI: _mongo, ...env } = environmentOf(world);
    const { code, stdout } = await run([handle.token, '--reason', 'no worker'], env);
    expect(code).toBe(0);
    expect(stdout).toContain('was asked to go back, and is not settled yet');
    expect(stdout).toContain('not foretold, since DATABASE_URL is not set');
    worker = await world.startWorker({ updates: [entry] });
    expect(await handle.outcome()).toMatchObject({ status: 'compensated' });
    expect(await behind.outcome()).toMatchObject({ status: 'applied' });
  });

  test('a token that nobody knows is told', async () => {
    const { code, stderr } = await run(['no-such-entry']);
    expect(code).toBe(1);
    expect(stderr).toContain('"no-such-entry" is not known to Temporal');
  });
});
