/**
 * Goal: a precheck that writes, hangs, throws or meets a store that is away does no harm. Method:
 * each of it once, in a precheck that is well the next time or once it is mended.
 */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
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
  type Visit,
  visiting,
  visits,
} from './shows';

let world: World;
let worker: RunningWorker;

beforeAll(async () => {
  world = await openWorld();
  await prepareShows(world);
  worker = await world.startWorker({ updates: [book], projections: [tickets] });
});

afterAll(async () => {
  await worker.stop();
  await world.close();
});

const execute = async (given: Booking) => await world.twinwrite.execute(book, given);

describe('what goes wrong in it', () => {
  test('a write or a bug parks the update, and names the definition; mended, it goes on', async () => {
    const show = await showOf(world, 9);
    let isMended = false;
    const broken = (behaviour: (visit: Visit) => Promise<unknown>) =>
      visiting(async (visit) => {
        if (!isMended) await behaviour(visit);
      });
    const misused = /A callback of book wrote, or took a lock, in its precheck, which only reads/;
    const cases: [string, RegExp][] = [
      [broken(async ({ postgres }) => await postgres.query('update show set seats = 0')), misused],
      [
        broken(async ({ postgres }) => await postgres.query('select from show for update')),
        misused,
      ],
      [
        broken(async ({ postgres }) => await postgres.query('set transaction read write')),
        /SQLSTATE 25001/,
      ],
      [
        broken(async () => {
          throw new TypeError('a bug');
        }),
        /a bug/,
      ],
      [
        broken(async ({ postgres }) => await postgres.query('select from nowhere')),
        /no such table/,
      ],
    ];
    const handles = await Promise.all(
      cases.map(async ([id]) => await world.twinwrite.submit(book, { id, show })),
    );
    for (const [index, handle] of handles.entries()) {
      const why = await eventually(
        async () => (await handle.progress()).parked,
        'it is parked',
        30_000,
      );
      expect(why).toMatch(cases[index]?.[1] ?? /never/);
    }
    expect(await seatsOf(world, show)).toBe(9);
    isMended = true;
    for (const { workflowId } of handles) {
      await world.temporal.workflow.getHandle(workflowId).signal('retry');
    }
    for (const handle of handles) {
      expect(await handle.outcome()).toMatchObject({ status: 'applied' });
    }
    expect(await seatsOf(world, show)).toBe(9 - cases.length);
  });

  test('clause 8: one that hangs costs its attempt a quarter of the time, and the next one goes on', async () => {
    const id = firstTime(async () => await new Promise(() => {}));
    const handle = await world.twinwrite.submit(book, { id, show: await showOf(world, 1) });
    expect(await handle.outcome()).toMatchObject({ status: 'applied' });
    const { events } = await world.temporal.workflow.getHandle(handle.workflowId).fetchHistory();
    const failures = (events ?? []).flatMap(
      (event) => event.activityTaskStartedEventAttributes?.lastFailure?.message ?? [],
    );
    expect(failures).toEqual(['PostgreSQL did not finish within 1500 ms']);
    expect(visits.filter((visit) => visit === id)).toHaveLength(2);
  });

  test('a connection that breaks, to either store, is passing', async () => {
    const sql = 'select pg_terminate_backend(pg_backend_pid())';
    const ofPostgres = firstTime(async ({ postgres }) => await postgres.query(sql));
    const ofMongo = firstTime(async ({ mongo }) => {
      const away = mongo.collection('boxes').find({ $where: 'sleep(10000)' }, { maxTimeMS: 1 });
      await away.toArray();
    });
    const show = await showOf(world, 2);
    for (const id of [ofPostgres, ofMongo]) {
      await world.mongo.db().collection('boxes').insertOne({ show: id });
      expect(await execute({ id, show })).toMatchObject({ status: 'applied' });
    }
  });

  test('it has nothing to write to MongoDB with', async () => {
    let names: string[] = [];
    const id = firstTime(async ({ mongo }) => {
      names = Object.keys(mongo.collection('boxes'));
    });
    await execute({ id, show: await showOf(world, 1) });
    expect(names.sort()).toEqual(['countDocuments', 'distinct', 'find', 'findOne']);
  });
});
