/**
 * Goal: the queue goes on, in its order, wherever the worker of a holder is killed. Method: five
 * lines with an update each that stops at another boundary of the protocol, all in one worker
 * process; one SIGKILL; another worker of a later build, whose `entities` names something else.
 */
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import type { UpdateHandle } from 'twinwrite';
import { workflowSource } from '../../src/worker/workflow-source';
import { eventually } from '../support/eventually';
import { startTcpProxy, type TcpProxy } from '../support/tcp-proxy';
import type { RunningWorker } from '../support/world';
import { type DoomedWorker, startDoomedWorker } from './doomed-worker';
import { defineLines } from './lines';
import { type Hold, LinesWorld } from './lines-world';

const RECOVERED_WITHIN_MILLIS = 10_000;

const BOUNDARIES = [
  'beforeTheCommitInPostgres',
  'beforeTheMongoLeg',
  'inTheMongoLeg',
  'beforeSettling',
  'beforeTheCall',
] as const;

type Boundary = (typeof BOUNDARIES)[number];

/** Where the victims stop. From there the test leads two of them on, to where nothing stops. */
const STOPS: { readonly [Name in Boundary]: 'postgres' | 'mongo' } = {
  beforeTheCommitInPostgres: 'postgres',
  beforeTheMongoLeg: 'postgres',
  inTheMongoLeg: 'mongo',
  beforeSettling: 'mongo',
  beforeTheCall: 'mongo',
};

interface Line {
  readonly boundary: Boundary;
  readonly line: string;
  readonly ids: readonly [victim: string, second: string, third: string];
  readonly stop: string;
}

describe('a worker that is killed with holders in it', () => {
  const { transaction } = defineLines();
  const laterBuild = defineLines({
    entities: ({ lines: names }) => names.map((name) => `v2:${name}`),
  });
  const handles: UpdateHandle<null>[] = [];
  let lines: LinesWorld;
  let proxy: TcpProxy;
  let doomed: DoomedWorker;
  let survivor: RunningWorker | undefined;
  let all: readonly Line[];
  let recoveredInMillis: number;

  const lineOf = (boundary: Boundary): Line => {
    const found = all.find((line) => line.boundary === boundary);
    if (found === undefined) throw new Error(`no line for ${boundary}`);
    return found;
  };

  const openLine = async (boundary: Boundary): Promise<Line> => {
    const line = await lines.openLine();
    const ids = [randomUUID(), randomUUID(), randomUUID()] as const;
    return { boundary, line, ids, stop: `${STOPS[boundary]} ${ids[0]}` };
  };

  /** All of its updates wait for the line, in their order, while the test holds it. */
  const queueUp = async ({ line, ids }: Line): Promise<Hold> => {
    const hold = await lines.hold(`line:${line}`);
    for (const [index, id] of ids.entries()) {
      handles.push(await lines.world.twinwrite.submit(transaction, { id, lines: [line] }));
      await lines.queued(`line:${line}`, index + 1);
    }
    return hold;
  };

  const mongoHas = async ({ line, ids: [victim] }: Line) => {
    await eventually(async () => {
      const { mongo } = await lines.listsOf(line, 'transaction');
      return mongo.includes(victim) || undefined;
    }, 'MongoDB has what is not settled');
  };

  /** In time, or the error that says that it was not. */
  const outcomeOf = async (handle: UpdateHandle<null>): Promise<unknown> =>
    await handle
      .outcome({ timeoutMillis: 2 * RECOVERED_WITHIN_MILLIS })
      .catch((error: unknown) => error);

  /** Brings every victim to its boundary, and leaves it there. */
  const leadToBoundaries = async (): Promise<() => Promise<void>> => {
    const holds = await Promise.all(all.map(queueUp));
    await Promise.all(holds.map((hold) => hold.release()));
    await Promise.all(all.map(({ stop }) => doomed.reached(stop)));
    const unsettled = lineOf('beforeSettling');
    const unlock = await lines.lock(`line:${unsettled.line}`);
    doomed.open(unsettled.stop);
    await mongoHas(unsettled);
    // What an activity has done, nobody hears from now on; nor whom it calls.
    proxy.cut();
    const [uncalled, unreported] = [lineOf('beforeTheCall'), lineOf('beforeTheMongoLeg')];
    doomed.open(uncalled.stop);
    doomed.open(unreported.stop);
    await lines.reached(uncalled.ids[0], 'applied');
    await lines.reached(unreported.ids[0], 'forward');
    return unlock;
  };

  beforeAll(async () => {
    lines = await LinesWorld.open();
    const [host = '', port] = lines.world.addresses.temporalAddress.split(':');
    proxy = await startTcpProxy({ host, port: Number(port) });
    all = await Promise.all(BOUNDARIES.map(openLine));
    const stops = all.map(({ stop }) => stop);
    doomed = startDoomedWorker(lines.world, `127.0.0.1:${proxy.port}`, stops);
    await Promise.all([doomed.created(), workflowSource()]);
    const unlock = await leadToBoundaries();
    states = await Promise.all(all.map(({ ids }) => lines.stateOf(ids[0])));
    await doomed.kill();
    const killedAt = performance.now();
    await unlock();
    survivor = await lines.world.startWorker({
      updates: [laterBuild.transaction],
      postgres: lines.pool,
    });
    outcomes = await Promise.all(handles.map(outcomeOf));
    recoveredInMillis = performance.now() - killedAt;
  });
  let states: (string | undefined)[];
  let outcomes: unknown[];

  afterAll(async () => {
    await doomed.kill();
    await survivor?.stop();
    await proxy.close();
    await lines.close();
  });

  test('each victim stood at its boundary', () => {
    expect(states).toEqual(['granted', 'forward', 'forward', 'forward', 'applied']);
  });

  test('clause 9: another worker brings all of them to their outcome within ten seconds', () => {
    expect(outcomes).toEqual(handles.map(() => ({ status: 'applied', result: null })));
    expect(recoveredInMillis).toBeLessThan(RECOVERED_WITHIN_MILLIS);
  });

  test.each([
    ['in its Postgres leg', 'beforeTheCommitInPostgres'],
    ['after its commit in Postgres, before its Mongo leg', 'beforeTheMongoLeg'],
    ['in its Mongo leg (F13)', 'inTheMongoLeg'],
    ['after its commit in MongoDB, before it is settled (F30)', 'beforeSettling'],
    ['after it was settled, before it called the next (F20, F23)', 'beforeTheCall'],
  ] as const)(
    'clause 7: a holder killed %s keeps its place, and the queue goes on behind it',
    async (_, boundary) => {
      const { line, ids } = lineOf(boundary);
      const lists = await lines.listsOf(line, 'transaction');
      expect(lists).toEqual({ postgres: ids, mongo: ids });
      expect(await lines.queueOf(`line:${line}`)).toEqual([]);
    },
  );
});
