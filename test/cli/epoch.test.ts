/**
 * Goal: after a restore the commands tell what was lost, refuse what would make it worse, and bring
 * the stores together again, also when they are interrupted (clause 13). Method: the real commands;
 * PostgreSQL loses one update of each kind, as a copy of a moment ago would have.
 */
import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { storeOf } from '../../src/activities/mongo/epoch';
import { LEDGER_COLLECTION } from '../../src/activities/mongo/ledger';
import { add, pointsOf, preparePoints, updates } from '../epochs/points';
import { eventually } from '../support/eventually';
import { openWorld, type World } from '../support/world';
import { countPoints, projectPoints } from './fixtures/points.config';
import { environmentOf, runCli } from './run-cli';

const CONFIG = join(__dirname, 'fixtures', 'points.config.ts');

describe('twinwrite epoch', () => {
  let world: World;
  let stop = async () => {};
  const lost = { projected: randomUUID(), counted: randomUUID() };
  const ghost = randomUUID();

  const twinwrite = async (...args: string[]) => await runCli(args, { env: environmentOf(world) });
  const raise = async (...args: string[]) =>
    await twinwrite('epoch', 'raise', '--config', CONFIG, ...args);
  const ledgerOfMongo = () => world.mongo.db().collection<{ _id: string }>(LEDGER_COLLECTION);
  const everything = async () => ({
    points: await pointsOf(world),
    store: (await world.postgres.query('select epoch, stopped from twinwrite.store')).rows,
    entities: (await world.postgres.query('select * from twinwrite.entity order by key')).rows,
    mongoLedger: await ledgerOfMongo().find().sort({ _id: 1 }).toArray(),
  });

  beforeAll(async () => {
    world = await openWorld();
    await preparePoints(world);
    ({ stop } = await world.startWorker({ updates }));
    await add(world, projectPoints, 'a');
    await add(world, projectPoints, 'gone', lost.projected);
    await add(world, countPoints, 'b', lost.counted);
    await eventually(async () => {
      const open = await world.postgres.query('select from twinwrite.pending');
      return open.rowCount === 0;
    }, 'all are settled');
    await world.postgres.query('delete from entry where id = any($1)', [Object.values(lost)]);
    await world.postgres.query('delete from twinwrite.ledger where token = any($1)', [
      Object.values(lost),
    ]);
    await world.postgres.query(`delete from twinwrite.entity where key <> 'accounts/a'`);
    // Of this one nobody has the input.
    await ledgerOfMongo().insertOne({ _id: `countPoints/${ghost}`, state: 'applied' } as {
      _id: string;
    });
    await world.postgres.query('update twinwrite.store set tick = 0');
    await eventually(async () => {
      const { rows } = await world.postgres.query('select stopped from twinwrite.store');
      return (rows[0] as { stopped: unknown }).stopped !== null;
    }, 'the worker stops the stores');
  });

  afterAll(async () => {
    await stop();
    await world.close();
  });

  test('show tells who went back, and what to do', async () => {
    const { code, stdout } = await twinwrite('epoch', 'show');
    expect(stdout).toMatch(/Stopped: PostgreSQL went back in time: it is \d+ ticks behind/);
    expect(stdout).toContain('"twinwrite epoch raise --dry-run"');
    const json = await twinwrite('epoch', 'show', '--json');
    expect(JSON.parse(json.stdout)).toMatchObject({
      postgres: { epoch: 0 },
      stopped: { store: 'PostgreSQL' },
      isPair: true,
    });
    expect([code, json.code]).toEqual([1, 1]);
  });

  test.each([
    ['adopt', 'accounts', '--config', CONFIG],
    ['collect', '--older-than', '20d'],
  ])('%s refuses while the stores are stopped', async (...args) => {
    const { code, stdout, stderr } = await twinwrite(...args);
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
    expect(stderr).toContain('twinwrite: PostgreSQL went back in time');
  });

  test('a dry run names what was lost and what it would do, and changes nothing', async () => {
    const before = await everything();
    const { code, stdout } = await raise('--dry-run');
    expect(stdout.trimEnd().split('\n').sort()).toEqual(
      [
        `document "accounts/gone": ahead of PostgreSQL, which has lost it; would be tombstoned`,
        `update "projectPoints ${lost.projected}": lost in PostgreSQL; would be started again`,
        `update "countPoints ${lost.counted}": lost in PostgreSQL; would be started again`,
        `update "countPoints ${ghost}": lost in PostgreSQL; needs somebody: Temporal has forgotten its input: submit it again, or take it back in MongoDB`,
        'It would raise the epoch to 1. documents repaired: 1 updates taken up again: 2 needing somebody: 1',
      ].sort(),
    );
    expect(code).toBe(1);
    expect(await everything()).toEqual(before);
  });

  test('what Temporal is not asked for is named', async () => {
    const { code, stdout } = await raise('--dry-run', '--no-temporal', '--json');
    expect(code).toBe(1);
    const lines = stdout
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as unknown);
    expect(lines.at(-1)).toEqual({
      summary: { epoch: 1, isDryRun: true, documents: 1, updates: 0, needSomebody: 2 },
    });
  });

  test('an image that fails leaves the stores stopped, and the next run goes on', async () => {
    await world.postgres.query('alter table entry rename to elsewhere');
    const failed = await raise('--reason', 'first');
    await world.postgres.query('alter table elsewhere rename to entry');
    expect(failed).toMatchObject({ code: 1, stdout: '' });
    expect(failed.stderr).toContain('SQLSTATE 42P01. The stores stay stopped;');
    expect((await everything()).store).toMatchObject([{ epoch: 1, stopped: expect.any(String) }]);

    await ledgerOfMongo().deleteOne({ _id: `countPoints/${ghost}` });
    const { code, stdout } = await raise('--reason', 'restored');
    expect(stdout).toContain('The epoch is 2, and the stores are open.');
    expect(code).toBe(0);
    const { rows } = await world.postgres.query(
      'select epoch, reason from twinwrite.epoch order by 1',
    );
    expect(rows).toEqual([
      { epoch: 1, reason: 'first' },
      { epoch: 2, reason: 'restored' },
    ]);
    const all = { accounts: { a: 1, gone: 1 }, counters: { b: 1 } };
    await eventually(async () => {
      const { postgres, mongo } = await pointsOf(world);
      return isDeepStrictEqual([postgres, mongo], [all, all]);
    }, 'what was lost is there again');
    expect(await storeOf(world.mongo.db()).findOne({ _id: 1 })).toMatchObject({ epoch: 2 });
    expect((await everything()).store).toEqual([{ epoch: 2, stopped: null }]);
  });

  test('has nothing to do the second time, and may be raised at any time', async () => {
    const { code, stdout } = await raise();
    expect(stdout).toBe(
      'The epoch is 3, and the stores are open. documents repaired: 0 updates taken up again: 0 needing somebody: 0\n',
    );
    expect(code).toBe(0);
    expect(await add(world, countPoints, 'b')).toMatchObject({ status: 'applied' });
    expect(await twinwrite('epoch', 'show')).toMatchObject({
      code: 0,
      stdout: expect.stringContaining('The stores are open.'),
    });
  });
});
