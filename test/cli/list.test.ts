/**
 * Goal: an operator finds the updates that need attention, from the ledger alone. Method: the real
 * command as a process of its own, in an environment that names no Temporal, against updates in each
 * state; their ages are set back in the ledger.
 */
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { eventually } from '../support/eventually';
import { prepareLedger, transactionEntry } from '../support/ledger-definitions';
import { openWorld, type RunningWorker, type World } from '../support/world';
import { runCli } from './run-cli';

interface ListDocument {
  readonly isComplete: boolean;
  readonly updates: readonly { token: string; state: string; overdue: boolean }[];
}

describe('twinwrite list', () => {
  let world: World;
  let worker: RunningWorker;
  let isBlocked = true;
  // Temporal is shared by all test files, and remembers every token.
  const [applied, refused, compensated, stays, waits] = Array.from({ length: 5 }, () =>
    randomUUID(),
  ) as [string, string, string, string, string];
  const entry = transactionEntry({
    mongo: (id) => {
      if (id !== stays || !isBlocked) return;
      throw Object.assign(new Error('not yet'), { code: 'ECONNRESET' });
    },
  });

  beforeAll(async () => {
    world = await openWorld();
    await prepareLedger(world);
    worker = await world.startWorker({ updates: [entry] });
    const account = `red \u001b[31m ${stays}`;
    const execute = async (id: string, points: number) =>
      await world.twinwrite.execute(entry, { id, account: randomUUID(), points });
    await execute(applied, 1);
    await execute(refused, 0);
    await execute(compensated, 1_000);
    await world.twinwrite.submit(entry, { id: stays, account, points: 1 });
    await isIn(stays, 'forward');
    await world.twinwrite.submit(entry, { id: waits, account, points: 1 });
    await isIn(waits, 'queued');
    // A worker's janitor would take up what is overdue.
    await worker.stop();
    await world.postgres.query(
      `update twinwrite.ledger set at = at - interval '2 hours' where token = $1`,
      [stays],
    );
    await world.postgres.query(
      `update twinwrite.pending set due = now() - interval '1 hour' where $1 = any(tokens)`,
      [stays],
    );
  });

  afterAll(async () => {
    isBlocked = false;
    worker = await world.startWorker({ updates: [entry] });
    await world.twinwrite.handle(entry, waits).outcome();
    await worker.stop();
    await world.close();
  });

  const isIn = async (token: string, state: string) =>
    await eventually(async () => {
      const { rowCount } = await world.postgres.query(
        'select from twinwrite.unsettled where token = $1 and state = $2',
        [token, state],
      );
      return rowCount === 1 ? true : undefined;
    }, `${token} is ${state}`);

  const run = async (...args: string[]) =>
    await runCli(['list', ...args], { env: { DATABASE_URL: world.postgresUrl } });
  const listed = async (...args: string[]) => {
    const { code, stdout } = await run(...args, '--json');
    expect(code).toBe(0);
    return JSON.parse(stdout) as ListDocument;
  };
  const tokensOf = ({ updates }: ListDocument) => updates.map(({ token }) => token);

  test('what is not settled, the oldest first, with what is overdue', async () => {
    const { updates, isComplete } = await listed();
    expect(isComplete).toBe(true);
    expect(updates).toEqual([
      expect.objectContaining({ token: stays, state: 'forward', overdue: true }),
      expect.objectContaining({ token: waits, state: 'queued', overdue: false }),
    ]);
  });

  test('by state, age and definition', async () => {
    const [done, ended, old, other, all] = await Promise.all([
      listed('--state', 'applied'),
      listed('--state', 'refused', 'compensated'),
      listed('--state', 'any', '--older-than', '1h'),
      listed('--state', 'any', '--definition', 'anotherOne'),
      listed('--state', 'any'),
    ]);
    expect(tokensOf(done)).toEqual([applied]);
    expect(tokensOf(ended)).toEqual([refused, compensated]);
    expect(tokensOf(old)).toEqual([stays]);
    expect(tokensOf(other)).toEqual([]);
    expect(tokensOf(all)).toHaveLength(5);
  });

  test('for people a table, whose texts cannot steer a terminal, and whether there is more', async () => {
    const { code, stdout } = await run('--state', 'any', '--limit', '3');
    expect(code).toBe(0);
    expect(stdout).toContain('forward, overdue');
    expect(stdout).toContain('account:red �[31m');
    expect(stdout).not.toContain('\u001b');
    expect(stdout).toContain('RefusedByDefinition: nothing to do');
    expect(stdout).toContain('updates: 3 and more; raise --limit, or narrow the list.');
    expect((await run('--state', 'parked')).stdout).toBe('No update is parked.\n');
  });

  test('what is mistyped, and a database without a ledger, is told', async () => {
    const [state, age, elsewhere] = await Promise.all([
      run('--state', 'lost'),
      run('--older-than', 'yesterday'),
      runCli(['list'], { env: { DATABASE_URL: world.addresses.postgresUrl } }),
    ]);
    expect(state.code).toBe(2);
    expect(state.stderr).toContain('Allowed choices are unsettled');
    expect(age.code).toBe(2);
    expect(age.stderr).toContain('a whole number with s, m, h or d, such as 10m');
    expect(elsewhere).toMatchObject({ code: 1, stdout: '' });
    expect(elsewhere.stderr).toContain('has no ledger; check DATABASE_URL');
  });
});
