import { EpochCheck } from '../../src/activities/epoch-check';
import { findOverdueCalls, forgetCalls, takeOverdue } from '../../src/activities/overdue';
import type { AnyCrossStoreUpdate } from '../../src/domain/definition';
import type { Json } from '../../src/domain/json';
import type { Outcome } from '../../src/domain/outcome';
import type { CrossStoreUpdateRequest } from '../../src/domain/update-request';
import type { World } from '../support/world';
import type { AccountDocument } from './accounts';
import { Bells, ChaosDriver } from './driver';
import { latency } from './latency';

const AT_ONCE = 16;
const SHARE_THAT_GOES_WRONG = 0.3;

/** What was seen while it ran. */
export interface Findings {
  /** How often the janitor took an update. */
  readonly visited: number;
  /** By token: what each of its drivers reported. */
  readonly outcomes: ReadonlyMap<string, readonly Outcome<Json>[]>;
  /** Outcomes that MongoDB did not show when they were reported. */
  readonly early: readonly string[];
  /** Documents whose version went back. */
  readonly regressions: readonly string[];
}

/**
 * Runs every request by up to three drivers, each as if in a process of its own; one of them may
 * begin with a cancellation, or come with one later.
 */
export async function runChaos(
  world: World,
  definition: AnyCrossStoreUpdate,
  requests: readonly CrossStoreUpdateRequest[],
  random: () => number,
): Promise<Findings> {
  const bells = new Bells(random);
  const stores = { updates: [definition], postgres: world.postgres, mongo: world.mongo };
  const newDriver = () => new ChaosDriver(stores, bells, random, SHARE_THAT_GOES_WRONG);
  const [first, second, third] = [newDriver(), newDriver(), newDriver()];
  // As every process begins.
  await new EpochCheck(world).run();
  const outcomes = new Map<string, Outcome<Json>[]>();
  const early: string[] = [];
  const drive = async (
    driver: ChaosDriver,
    request: CrossStoreUpdateRequest,
    workflow: string,
    way: 'forward' | 'back',
  ) => {
    const outcome = await driver.drive(request, workflow, way);
    if (!(await isShown(world, request, outcome))) early.push(`${workflow}: ${outcome.status}`);
    return outcome;
  };
  const queue = [...requests];
  const lane = async () => {
    for (let request = queue.shift(); request !== undefined; request = queue.shift()) {
      const { token } = request;
      const drivers = [drive(first, request, token, random() < 0.15 ? 'back' : 'forward')];
      if (random() < 0.6) drivers.push(drive(second, request, `${token}/duplicate`, 'forward'));
      if (random() < 0.4) {
        await latency(random, 40);
        drivers.push(drive(third, request, `${token}/cancel`, 'back'));
      }
      outcomes.set(token, await Promise.all(drivers));
    }
  };
  const watch = watchVersions(world);
  const sweep = sweepCalls(world, bells, random);
  const janitor = newDriver();
  const visits = sendJanitor(world, definition.name, janitor, random);
  await Promise.all(Array.from({ length: AT_ONCE }, lane));
  await sweep.stop();
  const visited = await visits.stop();
  for (const driver of [first, second, third, janitor]) await driver.bury();
  return { outcomes, visited, early, regressions: await watch.stop() };
}

/** Clause 14: after an outcome, a majority read shows it. */
async function isShown(
  world: World,
  { token, input }: CrossStoreUpdateRequest,
  { status }: Outcome<Json>,
): Promise<boolean> {
  const { account } = input as { account: string };
  const document = await world.mongo
    .db()
    .collection<AccountDocument>('accounts')
    .findOne({ _id: account }, { readConcern: 'majority' });
  return (document?.payments ?? []).includes(token) === (status === 'applied');
}

/** Every worker's sweep, with less patience. */
function sweepCalls(world: World, bells: Bells, random: () => number) {
  return again(random, 200, async () => {
    await hasten(world, 'pending', `due = now(), calls = 0`, `stage = 'granted'`);
    await hasten(world, 'call', 'due = now()', 'true');
    const overdue = await findOverdueCalls(world.postgres, 100);
    for (const workflow of overdue) bells.ring(workflow);
    await forgetCalls(world.postgres, overdue);
    return overdue.length;
  });
}

/** Every worker's janitor, which takes for late whoever it meets. */
function sendJanitor(world: World, definition: string, janitor: ChaosDriver, random: () => number) {
  return again(random, 40, async () => {
    await hasten(
      world,
      'pending',
      'due = now(), calls = 2',
      `stage <> 'queued' and random() < 0.5`,
    );
    const overdue = await takeOverdue(world.postgres, [definition], 4);
    for (const { request } of overdue) janitor.visit(request);
    return overdue.length;
  });
}

/** Changes the rows that nobody has locked: whoever waits for several could deadlock with a leg. */
async function hasten(world: World, table: string, change: string, which: string): Promise<void> {
  await world.postgres.query(
    `update twinwrite.${table} set ${change}
      where ctid in (select ctid from twinwrite.${table} where ${which} for update skip locked)`,
  );
}

/** Does it again and again until it is stopped, and answers the sum. */
function again(random: () => number, mostMillis: number, work: () => Promise<number>) {
  const run = { isOver: false };
  const working = (async () => {
    let sum = 0;
    while (!run.isOver) {
      sum += await work();
      await latency(random, mostMillis);
    }
    return sum;
  })();
  return {
    stop: async () => {
      run.isOver = true;
      return await working;
    },
  };
}

/** Sees every version of every document, in the order in which MongoDB took them. */
function watchVersions(world: World) {
  const stream = world.mongo
    .db()
    .collection<AccountDocument>('accounts')
    .watch([], { fullDocument: 'updateLookup' });
  const latest = new Map<string, bigint>();
  const regressions: string[] = [];
  const watching = (async () => {
    for await (const change of stream) {
      if (change.operationType !== 'insert' && change.operationType !== 'replace') continue;
      const { _id, _tw } = change.fullDocument;
      if (_tw === undefined) continue;
      const version = BigInt(_tw.version);
      const before = latest.get(_id) ?? 0n;
      if (version <= before) regressions.push(`${_id}: ${before}, then ${version}`);
      latest.set(_id, version);
    }
  })().catch(() => {});
  return {
    stop: async () => {
      await stream.close();
      await watching;
      return regressions;
    },
  };
}
