/**
 * Goal: the model of PostgreSQL does what the server does, where the explorer relies on it. Method:
 * the same small traces of production's own statements, of two or three sessions that get in each
 * other's way, on the model and on the real server; every answer and all rows that are left are
 * compared.
 */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { findOverdueCalls } from '../../src/activities/overdue';
import * as ledger from '../../src/activities/postgres/ledger';
import { migrations } from '../../src/activities/postgres/migrate';
import { openWorld, type World } from '../support/world';
import { TABLES } from './definitions';
import { exploredSql } from './explored-sql';
import { Blueprint } from './postgres/database';
import { loadParser } from './postgres/syntax';
import { ModelStand, type PostgresStand, RealStand, type TraceClient } from './postgres-stands';

const BEGIN = `begin isolation level read committed read write; set local lock_timeout = 5000`;
const SNAPSHOT = 'begin isolation level repeatable read read only';
const REASON = { code: 'Cancelled', message: 'by the trace' } as const;

const keyOf = (token: string) => ({ definition: 'd', token, fingerprint: '1:x' });
const planOf = (token: string, given: Partial<ledger.ClaimedPlan> = {}): ledger.ClaimedPlan => ({
  workflow: `w/${token}`,
  form: 'projection',
  undoable: true,
  entities: ['stock:a'],
  documents: [],
  input: null,
  ...given,
});

const claim = async (client: TraceClient, token: string, given: Partial<ledger.ClaimedPlan> = {}) =>
  await ledger.claim(client as never, keyOf(token), planOf(token, given));
const finish = async (client: TraceClient, token: string, byTurn = false, driver = `w/${token}`) =>
  await ledger.finishLeg(
    client as never,
    keyOf(token),
    { claim: { result: null } as never, byTurn },
    driver,
  );
const settle = async (client: TraceClient, token: string, ticket: string, undone = false) =>
  await ledger.settle(client as never, keyOf(token), { ticket, undone } as never);
const fence = async (client: TraceClient, token: string, driver = `w/${token}`) =>
  await ledger.fence(client as never, keyOf(token), REASON, driver);

/** Claims, finishes and commits. */
async function apply(client: TraceClient, token: string, given: Partial<ledger.ClaimedPlan> = {}) {
  await client.query(BEGIN);
  const claimed = await claim(client, token, given);
  await finish(client, token);
  await client.query('commit');
  return claimed;
}

const ticketOf = (claimed: Awaited<ReturnType<typeof claim>>): string =>
  'claim' in claimed ? claimed.claim.ticket : '';

type Trace = (
  stand: PostgresStand,
  a: TraceClient,
  b: TraceClient,
  c: TraceClient,
) => Promise<unknown>;

const TRACES: Readonly<Record<string, Trace>> = {
  'a claim waits for its twin, and finds what it did': async ({ waits }, a, b) => {
    await a.query(BEGIN);
    const first = await claim(a, 't');
    await b.query(BEGIN);
    const second = claim(b, 't');
    await waits(b);
    await finish(a, 't');
    const tags = [await a.query('commit')];
    return [first, await second, tags, await b.query('commit')];
  },
  'a claim waits for its twin, which is rolled back': async ({ waits }, a, b) => {
    await a.query(BEGIN);
    await claim(a, 't');
    await b.query(BEGIN);
    const second = claim(b, 't');
    await waits(b);
    await a.query('rollback');
    return [await second, await b.query('commit')];
  },
  'a claim waits for too long': async ({ timesOut }, a, b) => {
    await a.query(BEGIN);
    await claim(a, 't');
    await b.query('begin; set local lock_timeout = 50');
    const second = claim(b, 't');
    const failed = await timesOut(b, second);
    const aborted = await claim(b, 't').catch(codeOf);
    return [failed, aborted, await b.query('commit'), await a.query('commit')];
  },
  'a fence comes before the claim': async (_, a, b) => {
    return [await fence(b, 't'), await claim(a, 't'), await fence(b, 't')];
  },
  'a fence waits for an open claim, and undoes it': async ({ waits }, a, b, c) => {
    await a.query(BEGIN);
    const claimed = await claim(a, 't', { documents: ['orders/1'] });
    const fenced = fence(b, 't');
    await waits(b);
    await finish(a, 't');
    await a.query('commit');
    const ticket = ticketOf(claimed);
    return [
      await fenced,
      await settle(c, 't', ticket),
      await ledger.beginUndo(c as never, keyOf('t')),
      await settle(c, 't', ticket, true),
      await ledger.finishUndo(c as never, keyOf('t')),
      await settle(c, 't', ticket),
      await settle(c, 't', ticket, true),
    ];
  },
  'an undo is called off': async (_, a, b) => {
    await apply(a, 't', { form: 'transaction' });
    return [await fence(b, 't'), await ledger.resumeForward(b as never, keyOf('t'))];
  },
  'the transaction form is settled by its undo': async (_, a, b) => {
    await apply(a, 't', { form: 'transaction' });
    const fenced = await fence(b, 't');
    await b.query(BEGIN);
    const begun = await ledger.beginUndo(b as never, keyOf('t'));
    const ended = await ledger.finishUndo(b as never, keyOf('t'));
    return [fenced, begun, ended, await b.query('commit')];
  },
  'the queue, in the order of its tickets': async (_, a, b, c) => {
    const holder = await apply(a, 'first', { entities: ['e:1', 'e:2'] });
    const waiting = [
      await claim(b, 'second', { entities: ['e:2'], undoable: false }),
      await claim(c, 'third', { entities: ['e:1', 'e:2'] }),
    ];
    const settled = await settle(a, 'first', ticketOf(holder));
    const early = await claim(c, 'third', { entities: ['e:1', 'e:2'] });
    await b.query(BEGIN);
    const inTurn = await claim(b, 'second', { entities: ['e:2'] });
    const called = await finish(b, 'second', true);
    await b.query('commit');
    return [
      waiting,
      settled,
      early,
      inTurn,
      called,
      await claim(c, 'third'),
      await settle(b, 'second', ticketOf(inTurn)),
    ];
  },
  'another driver takes a waiter out of the queue': async (_, a, b, c) => {
    await apply(a, 'first');
    const waiting = [await claim(b, 'second'), await claim(c, 'third')];
    return [
      waiting,
      await fence(a, 'second', 'janitor'),
      await ledger.refuse(a as never, keyOf('third'), REASON, 'w/third'),
    ];
  },
  'free updates hold nothing, and each has its version': async ({ waits }, a, b) => {
    const free = { undoable: false, entities: [], documents: ['orders/1'] };
    await a.query(BEGIN);
    await claim(a, 'first', free);
    await b.query(BEGIN);
    const second = claim(b, 'second', free);
    await waits(b);
    await a.query('commit');
    return [await second, await b.query('commit')];
  },
  'one snapshot shows one moment': async (_, a, b) => {
    const versions = `select key, version::text, holder::text from twinwrite.entity where key = any($1)`;
    await apply(a, 'first', { undoable: false });
    await b.query(SNAPSHOT);
    const before = await b.query(versions, [['stock:a']]);
    await apply(a, 'second', { undoable: false });
    const after = await b.query(versions, [['stock:a']]);
    const refused = await fence(b, 'second').catch(codeOf);
    return [before, after, refused, await b.query('commit')];
  },
  'what fails aborts its transaction, and COMMIT says ROLLBACK': async (_, a) => {
    const insert = `insert into effect (key, token, kind, points, refused) values ('k', 't', 'applied', $1, false)`;
    await a.query(BEGIN);
    await a.query(insert, [1]);
    const refused = await a.query(insert, [13]).catch(codeOf);
    const aborted = await a.query('select 1 as one').catch(codeOf);
    return [refused, aborted, await a.query('commit'), await a.query('select key from effect')];
  },
  'a lock that was waited for shows the newest row': async ({ waits }, a, b, c) => {
    await apply(a, 'first');
    await a.query(BEGIN);
    await a.query(`update twinwrite.entity set waiting = 7 where key = 'stock:a'`);
    const update = `update twinwrite.entity e set waiting = e.waiting + 1
      where e.key = 'stock:a' and e.waiting < $1 returning waiting`;
    const [still, noMore] = [b.query(update, [9]), c.query(update, [5])];
    await waits(b);
    await waits(c);
    await a.query('commit');
    return [await still, await noMore];
  },
  'a row that is gone after the wait is not found': async ({ waits }, a, b) => {
    const claimed = await apply(a, 'first');
    await a.query(BEGIN);
    await settle(a, 'first', ticketOf(claimed));
    const fenced = fence(b, 'first');
    await waits(b).catch(() => {});
    await a.query('commit');
    return await fenced;
  },
  'the janitor takes who is overdue, and who moves on starts anew': async (_, a) => {
    const rows = `select ticket::text, stage::text, tries, calls, parked,
      floor(extract(epoch from due - now()))::float as seconds from twinwrite.pending where stage <> 'queued' order by ticket`;
    const take = `select ticket, definition, token, stage, tries, input,
      floor(1000 * extract(epoch from late))::float as late from twinwrite.take_overdue($1, $2)`;
    const holder = await apply(a, 'first');
    await claim(a, 'second');
    await a.query(`${BEGIN}; update twinwrite.pending set due = now() - interval '1 minute'`);
    const seen = [await a.query(take, [['d'], 5]), await a.query(rows)];
    await ledger.park(a as never, keyOf('first'), 'it fails');
    seen.push(await a.query(rows));
    await fence(a, 'first');
    seen.push(await a.query(rows));
    await ledger.beginUndo(a as never, keyOf('first'));
    await settle(a, 'first', ticketOf(holder), true);
    await a.query(`select twinwrite.nobody_comes($1)`, [['w/second']]);
    seen.push(await a.query(rows));
    await a.query(`update twinwrite.pending set due = now() - interval '1 minute'`);
    return [seen, await findOverdueCalls(a as never, 5), await a.query(take, [['d'], 5])];
  },
  'what is locked is skipped': async (_, a, b) => {
    const holder = await apply(a, 'first');
    await claim(b, 'second');
    await settle(a, 'first', ticketOf(holder));
    await a.query(`update twinwrite.pending set due = now() - interval '1 minute'`);
    await a.query(BEGIN);
    await a.query(`update twinwrite.pending set calls = 3`);
    const skipped = await findOverdueCalls(b as never, 10);
    await a.query('rollback');
    return [skipped, await findOverdueCalls(b as never, 10)];
  },
};

const codeOf = (error: unknown): unknown => ({ code: (error as { code?: string }).code });

const LEFT = [
  'select definition, token, state, ticket, fingerprint, result, reason, input from twinwrite.ledger order by definition, token',
  'select ticket, stage, definition, tokens, workflow, form, undoable, entities, documents, input, parked, calls from twinwrite.pending order by ticket',
  'select key, version, holder, waiting from twinwrite.entity order by key',
  'select key, ticket from twinwrite.waiting order by key, ticket',
  'select workflow from twinwrite.call order by workflow',
  'select definition, token, state, postgres_leg, mongo_leg from twinwrite.updates order by definition, token',
  'select key, token, kind, points from effect order by number',
];

async function play(stand: PostgresStand, trace: Trace): Promise<unknown> {
  const [a, b, c] = [await stand.connect(), await stand.connect(), await stand.connect()];
  try {
    const answers = await trace(stand, a, b, c);
    const left = [];
    for (const text of LEFT) left.push((await a.query(text)).rows);
    // As JSON: a row's prototype is the driver's.
    return JSON.parse(JSON.stringify({ answers, left })) as unknown;
  } finally {
    await stand.close();
  }
}

describe('the model of PostgreSQL does what the server does', () => {
  let world: World;
  let blueprint: Blueprint;

  beforeAll(async () => {
    await loadParser();
    blueprint = new Blueprint([...exploredSql(migrations), TABLES]);
    world = await openWorld();
    await world.postgres.query(TABLES);
  });

  afterAll(async () => {
    await world.close();
  });

  test.each(Object.entries(TRACES))('%s', async (_, trace) => {
    await world.postgres.query(`truncate twinwrite.ledger, twinwrite.pending, twinwrite.entity, twinwrite.waiting, twinwrite.call, effect;
      alter sequence twinwrite.ticket restart`);
    const real = await play(new RealStand(world.postgres), trace);
    expect(await play(new ModelStand(blueprint), trace)).toEqual(real);
  });

  test('what it does not know it refuses', () => {
    const { compiler } = blueprint;
    for (const text of [
      'with recursive r as (select 1) select * from r',
      'select row_number() over () from effect',
      'lock table effect',
      'select json_build_object(1, 2)',
      'savepoint one',
    ]) {
      expect(() => compiler.program(text)).toThrow(/knows no|has no/);
    }
  });
});
