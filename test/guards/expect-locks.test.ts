/**
 * Goal: an expectation is judged by what stands under the locks of the claim, not by what could be
 * read before them (F7). Method: a claim that is made to wait for a row lock, behind a change.
 */
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { claimExpecting } from '../../src/activities/expectations';
import * as ledger from '../../src/activities/postgres/ledger';
import { queueOf } from '../activities/postgres/queue-of';
import { eventually } from '../support/eventually';
import { openWorld, type World } from '../support/world';

let world: World;
const { update } = queueOf(() => world.postgres);

beforeAll(async () => {
  world = await openWorld();
});

afterAll(async () => {
  await world.close();
});

const page = () => {
  const key = `pages/${randomUUID()}`;
  const change = () => update([], { form: 'projection', undoable: false, documents: [key] });
  const make = async () => {
    const { key: token, plan } = change();
    await ledger.claim(world.postgres, token, plan);
  };
  return { key, change, make };
};

test.each([
  ['changed', 1],
  ['made', 0],
])('F7: a claim that waited for a lock finds the page that was %s meanwhile', async (_, made) => {
  const { key, change, make } = page();
  if (made === 1) await make();
  const [first, second] = [await world.postgres.connect(), await world.postgres.connect()];
  try {
    await first.query('begin');
    const ahead = change();
    expect(await ledger.claim(first, ahead.key, ahead.plan)).toMatchObject({ at: 'claimed' });
    await second.query('begin');
    const late = change();
    const claim = claimExpecting(second, late.key, late.plan, { [key]: '1' });
    const answered = claim.then((answer) => ('found' in answer ? answer.found : answer));
    await eventually(async () => {
      const sql = `select from pg_stat_activity where datname = $1 and wait_event_type = 'Lock'`;
      return (await world.postgres.query(sql, [world.name])).rowCount === 1 || undefined;
    }, 'it waits for the lock');
    await first.query('commit');
    expect(await answered).toEqual({ [key]: String(made + 1) });
  } finally {
    for (const client of [first, second]) {
      await client.query('rollback');
      client.release();
    }
  }
});

test('a claim that took nothing leaves no key at another version', async () => {
  const { key, make } = page();
  await make();
  const versionOf = async () =>
    (
      await world.postgres.query('select version, holder from twinwrite.entity where key = $1', [
        key,
      ])
    ).rows[0] as unknown;
  const before = await versionOf();
  const holder = update(['held']);
  await ledger.claim(world.postgres, holder.key, holder.plan);
  const waiter = update(['held'], { documents: [key] });
  const answer = await ledger.claim(world.postgres, waiter.key, waiter.plan);
  expect(answer.at).toBe('waiting');
  expect(await versionOf()).toEqual(before);
});
