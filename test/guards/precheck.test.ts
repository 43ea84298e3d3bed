/**
 * Goal: a precheck refuses early and decides nothing else: the ledger answers first (clause 2), and
 * the leg judges last. Method: prechecks whose every visit a test may watch, hold and change the
 * world in.
 */
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import * as ledger from '../../src/activities/postgres/ledger';
import { fingerprintOf } from '../../src/domain/fingerprint';
import { queueOf } from '../activities/postgres/queue-of';
import { eventually } from '../support/eventually';
import { openWorld, type RunningWorker, type World } from '../support/world';
import {
  type Booking,
  book,
  firstTime,
  prepareShows,
  seatsOf,
  showOf,
  tickets,
  visiting,
  visits,
} from './shows';

let world: World;
let worker: RunningWorker;
const { update, claimed, settle } = queueOf(() => world.postgres);

beforeAll(async () => {
  world = await openWorld();
  await prepareShows(world);
  worker = await world.startWorker({ updates: [book], projections: [tickets] });
});

beforeEach(() => {
  visits.length = 0;
});

afterAll(async () => {
  await worker.stop();
  await world.close();
});

const execute = async (given: Booking) => await world.twinwrite.execute(book, given);

/** The same token by another workflow, as a driver that Temporal knows nothing of. */
const driveElsewhere = async (given: Booking): Promise<unknown> =>
  await world.temporal.workflow.execute('crossStoreUpdate', {
    workflowId: `elsewhere/${randomUUID()}`,
    taskQueue: world.name,
    args: [{ definition: 'book', token: given.id, input: given }],
  });

describe('a refusal', () => {
  test('is an outcome that stays, and nothing was written, held or waited for', async () => {
    const show = await showOf(world, 0);
    const lock = randomUUID();
    // Held for the whole of the test: with a claim it would have to wait.
    await claimed(update([lock]));
    const given = { id: randomUUID(), show, lock };
    const refused = {
      status: 'refused',
      reason: {
        code: 'RefusedByDefinition',
        message: `${show} is sold out, as it seems`,
        details: { show, seats: [] },
      },
    };
    expect(await execute(given)).toEqual(refused);
    await world.postgres.query('update show set seats = 5 where name = $1', [show]);
    expect(await execute(given)).toEqual(refused);
    expect(await driveElsewhere(given)).toEqual(refused);
    expect(visits).toEqual([given.id]);
    expect(await seatsOf(world, show)).toBe(5);
    const { rowCount } = await world.postgres.query('select from twinwrite.entity where key = $1', [
      `tickets/${given.id}`,
    ]);
    expect(rowCount).toBe(0);
  });

  test('comes of what MongoDB has as well, before PostgreSQL has anything to undo', async () => {
    const show = await showOf(world, 1);
    await world.mongo.db().collection('boxes').insertOne({ show, closed: true });
    expect(await execute({ id: randomUUID(), show })).toMatchObject({
      status: 'refused',
      reason: { message: `${show} is closed` },
    });
    expect(await seatsOf(world, show)).toBe(1);
  });

  test('is one with details that cannot be recorded too, and says so', async () => {
    const id = visiting(async ({ refuse }) =>
      refuse('no', { at: new Date() as unknown as string }),
    );
    expect(await execute({ id, show: await showOf(world, 1) })).toEqual({
      status: 'refused',
      reason: {
        code: 'RefusedByDefinition',
        message: expect.stringMatching(/^no \(its details cannot be recorded: at: is a Date/),
      },
    });
  });

  test('comes of data that PostgreSQL refuses, as in the leg', async () => {
    const id = visiting(async ({ postgres }) => await postgres.query(`select 'x'::int`));
    expect(await execute({ id, show: await showOf(world, 1) })).toMatchObject({
      status: 'refused',
      reason: { code: 'RefusedByPostgres' },
    });
  });
});

describe('a race after it', () => {
  test('clause 2: ends right: all find a seat, and the leg gives it to one', async () => {
    const show = await showOf(world, 1);
    const all = 6;
    let arrived = 0;
    const meet = async () => {
      arrived += 1;
      await eventually(() => arrived === all || undefined, 'all are in their prechecks');
    };
    const ids = Array.from({ length: all }, () => firstTime(meet));
    const outcomes = await Promise.all(ids.map((id) => execute({ id, show })));
    expect(arrived).toBe(all);
    expect(outcomes.filter(({ status }) => status === 'applied')).toHaveLength(1);
    const refused = outcomes.filter(({ status }) => status === 'refused');
    expect(refused).toHaveLength(all - 1);
    for (const outcome of refused) {
      expect(outcome).toMatchObject({ reason: { message: `${show} is sold out` } });
    }
    expect(await seatsOf(world, show)).toBe(0);
  });

  test('clause 6: its refusal does not stand against another driver who claimed meanwhile', async () => {
    const show = await showOf(world, 1);
    const given = { id: '', show };
    given.id = firstTime(async ({ refuse }) => {
      expect(await driveInOwnTransactions(given)).toBe('settled');
      refuse('too late to say so');
    });
    expect(await execute(given)).toEqual({ status: 'applied', result: 'by the other driver' });
  });

  test('clause 7: nor does it take out of the queue who joined it meanwhile', async () => {
    const lock = randomUUID();
    const holder = update([lock]);
    const hold = await claimed(holder);
    const given = { id: '', show: await showOf(world, 1), lock };
    given.id = firstTime(async ({ refuse }) => {
      const answer = await ledger.claim(world.postgres, keyOf(given), planOf(given));
      expect(answer.at).toBe('waiting');
      refuse('too late to say so');
    });
    const handle = await world.twinwrite.submit(book, given);
    await eventually(
      async () => (await handle.progress()).done.at(-1)?.answer === 'waiting' || undefined,
      'it waits',
    );
    for (const workflow of await settle(holder, hold)) {
      await world.temporal.workflow.getHandle(workflow).signal('turn');
    }
    expect(await handle.outcome()).toMatchObject({ status: 'applied' });
    // Not again for its turn: the ledger knew the token.
    expect(visits).toEqual([given.id]);
  });
});

const keyOf = (given: Booking) => ({
  definition: 'book',
  token: given.id,
  fingerprint: fingerprintOf(given),
});
const planOf = (given: Booking): ledger.ClaimedPlan => ({
  workflow: `book/${given.id}`,
  form: 'projection',
  undoable: true,
  entities: given.lock === undefined ? [] : [given.lock],
  documents: [`tickets/${given.id}`],
  input: given,
});

/** Claims, finishes and settles the update through the ledger's functions. */
const driveInOwnTransactions = async (given: Booking): Promise<string> => {
  const key = keyOf(given);
  const answer = await ledger.claim(world.postgres, key, planOf(given));
  if (answer.at !== 'claimed') return answer.at;
  const claim = { ...answer.claim, result: 'by the other driver' };
  await ledger.finishLeg(world.postgres, key, { claim, byTurn: false }, 'other');
  return (await ledger.settle(world.postgres, key, claim)).answer.at;
};

describe('it never runs', () => {
  test('clause 2: for a token that was applied, whoever asks', async () => {
    const given = { id: randomUUID(), show: await showOf(world, 1) };
    const outcome = await execute(given);
    expect(outcome).toMatchObject({ status: 'applied' });
    expect(await driveElsewhere(given)).toEqual(outcome);
    expect(visits).toEqual([given.id]);
  });

  test('for an input that the schema refuses', async () => {
    const given = { id: randomUUID(), show: 7 as unknown as string };
    await expect(driveElsewhere(given)).rejects.toMatchObject({ cause: { type: 'InvalidInput' } });
    expect(visits).toEqual([]);
  });
});
