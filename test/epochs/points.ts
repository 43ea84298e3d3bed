import { randomUUID } from 'node:crypto';
import type { Outcome } from 'twinwrite';
import config, { countPoints, projectPoints } from '../cli/fixtures/points.config';
import { eventually } from '../support/eventually';
import type { World } from '../support/world';

export const { updates, projections = [] } = config;

export type PointsUpdate = typeof projectPoints | typeof countPoints;

export async function preparePoints(world: World): Promise<void> {
  await world.postgres.query(/*sql*/ `
    create table entry (id text primary key, form text not null, account text not null, points int not null);
    create table closed (account text primary key)`);
  for (const name of ['accounts', 'counters']) await world.mongo.db().createCollection(name);
  // A restore breaks idle connections, of which nobody else hears while no worker runs.
  world.postgres.on('error', () => undefined);
}

export async function add(
  world: World,
  definition: PointsUpdate,
  account: string,
  id: string = randomUUID(),
): Promise<Outcome> {
  return await world.twinwrite.execute(definition, { id, account, points: 1 });
}

/** What both stores have of every account, in one shape. */
export async function pointsOf(world: World) {
  const { rows } = await world.postgres.query<{ form: string; account: string; points: number }>(
    'select form, account, sum(points)::int as points from entry group by form, account',
  );
  const read = async (collection: string) => {
    const found = await world.mongo
      .db()
      .collection<{ _id: string; points: number }>(collection)
      .find({ '_tw.live': { $ne: false }, points: { $ne: 0 } }, { readConcern: 'majority' })
      .toArray();
    return Object.fromEntries(found.map(({ _id, points }) => [_id, points]));
  };
  const inPostgres = (form: string) =>
    Object.fromEntries(
      rows.filter((row) => row.form === form).map(({ account, points }) => [account, points]),
    );
  return {
    postgres: { accounts: inPostgres('projection'), counters: inPostgres('transaction') },
    mongo: { accounts: await read('accounts'), counters: await read('counters') },
  };
}

/** The ids that PostgreSQL has. */
export async function idsIn(world: World): Promise<Set<string>> {
  const { rows } = await world.postgres.query<{ id: string }>('select id from entry');
  return new Set(rows.map(({ id }) => id));
}

/** Waits until PostgreSQL has ticked so often since now. */
export async function ticks(world: World, times: number): Promise<void> {
  const read = async () => {
    const { rows } = await world.postgres.query<{ tick: string }>(
      'select tick from twinwrite.store',
    );
    return Number(rows[0]?.tick);
  };
  const before = await read();
  await eventually(async () => (await read()) >= before + times, `${times} ticks`);
}

/** Updates of both forms on a few accounts, one after the other in some lanes, until it is told. */
export function keepUpdating(world: World, lanes = 4) {
  const asked: { id: string; definition: PointsUpdate; outcome?: Outcome }[] = [];
  const over = new AbortController();
  const run = async (lane: number) => {
    for (let turn = 0; !over.signal.aborted; turn += 1) {
      const definition = (lane + turn) % 2 === 0 ? projectPoints : countPoints;
      const update: (typeof asked)[number] = { id: randomUUID(), definition };
      asked.push(update);
      update.outcome = await add(world, definition, `a${lane % 2}`, update.id);
    }
  };
  const running = Promise.all(Array.from({ length: lanes }, (_, lane) => run(lane)));
  // Whoever ends it hears of a failure.
  running.catch(() => {});
  return {
    asked,
    settled: () => asked.filter(({ outcome }) => outcome !== undefined),
    stop: () => over.abort(),
    end: async () => {
      over.abort();
      await running;
    },
  };
}
