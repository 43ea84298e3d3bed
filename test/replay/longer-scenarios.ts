import type { UpdateHandle } from 'twinwrite';
import { parkingOf } from '../compensation/parking';
import { Steering } from '../compensation/steering';
import {
  type Kind,
  prepareTransfers,
  stateOf,
  TOO_MANY,
  tolerate,
  transfer,
  transferKinds,
} from '../compensation/transfers';
import { eventually } from '../support/eventually';
import type { World } from '../support/world';

/** A run of a workflow: with its run id where the workflow went on in another. */
export interface Run {
  readonly workflowId: string;
  readonly runId?: string;
}

interface Play {
  readonly world: World;
  readonly steering: Steering;
  readonly kinds: ReturnType<typeof transferKinds>;
  readonly kind: Kind;
}

type Scenario = (play: Play) => Promise<Run>;

const BOTH = ['projection', 'transaction'] as const;

/** The paths on which a workflow waits: for its turn, or for somebody. */
const LONGER: readonly {
  readonly name: string;
  readonly forms: readonly (typeof BOTH)[number][];
  readonly run: Scenario;
  /** Too slow for every test run: its history is replayed all the same. */
  readonly isSlow?: true;
}[] = [
  { name: 'waited', forms: BOTH, run: waited },
  { name: 'cancelled-while-waiting', forms: BOTH, run: cancelledWhileWaiting },
  { name: 'parked-retried', forms: BOTH, run: parkedRetried },
  { name: 'parked-cancelled', forms: BOTH, run: parkedCancelled },
  { name: 'parked-undo', forms: BOTH, run: parkedUndo },
  { name: 'parked-slowly', forms: ['projection'], run: parkedSlowly, isSlow: true },
  { name: 'undone-late', forms: ['transaction'], run: undoneLate },
  { name: 'resumed-forward', forms: ['transaction'], run: resumedForward },
  { name: 'continued-as-new', forms: ['projection'], run: continuedAsNew, isSlow: true },
];

/** The names of their histories. */
export const LONGER_NAMES = LONGER.flatMap(({ name, forms }) =>
  forms.map((form) => `${form}-${name}`),
);

/** Runs them at the same time, and answers whose history is which. */
export async function runLongerScenarios(
  world: World,
  {
    maxCachedWorkflows,
    withSlow = false,
  }: { maxCachedWorkflows?: number; withSlow?: boolean } = {},
): Promise<Map<string, Run>> {
  await prepareTransfers(world);
  const steering = new Steering();
  const kinds = transferKinds(steering);
  const worker = await world.startWorker({
    updates: Object.values(kinds),
    ...(maxCachedWorkflows === undefined ? {} : { maxCachedWorkflows }),
  });
  const plays = LONGER.filter(({ isSlow }) => withSlow || isSlow !== true).flatMap(
    ({ name, forms, run }) =>
      forms.map(async (form): Promise<[string, Run]> => {
        const kind = kinds[form];
        return [`${form}-${name}`, await run({ world, steering, kinds, kind })];
      }),
  );
  try {
    return new Map(await Promise.all(plays));
  } finally {
    await worker.stop();
  }
}

const bug = () => {
  throw new TypeError('a bug');
};

async function settled(handle: UpdateHandle): Promise<Run> {
  await handle.outcome();
  return { workflowId: handle.workflowId };
}

/** An update behind one that holds its account. */
async function behind({ world, steering, kind, kinds }: Play) {
  const holder = transfer();
  const gate = steering.gate('mongo apply', holder.id);
  await world.twinwrite.submit(kinds.transaction, holder);
  await gate.reached();
  const waiter = transfer({ account: holder.account });
  const handle = await world.twinwrite.submit(kind, waiter);
  await eventually(
    async () => ((await stateOf(world, waiter.id)) === 'queued' ? true : undefined),
    'it waits',
  );
  return { handle, open: () => gate.open() };
}

async function waited(play: Play): Promise<Run> {
  const { handle, open } = await behind(play);
  open();
  return await settled(handle);
}

async function cancelledWhileWaiting(play: Play): Promise<Run> {
  const { handle, open } = await behind(play);
  await handle.cancel();
  const run = await settled(handle);
  open();
  return run;
}

async function parked({ world, steering, kind }: Play) {
  const input = transfer();
  steering.at('apply', input.id, bug);
  const handle = await world.twinwrite.submit(kind, input);
  const parking = parkingOf(() => world);
  await parking.isParked(handle);
  return { handle, mend: () => steering.at('apply', input.id, () => {}), ...parking };
}

async function parkedRetried(play: Play): Promise<Run> {
  const { handle, mend, retry } = await parked(play);
  mend();
  await retry(handle);
  return await settled(handle);
}

async function parkedCancelled(play: Play): Promise<Run> {
  const { handle } = await parked(play);
  await handle.cancel();
  return await settled(handle);
}

async function parkedSlowly(play: Play): Promise<Run> {
  const { handle, mend } = await parked(play);
  mend();
  return await settled(handle);
}

async function parkedUndo({ world, steering, kind }: Play): Promise<Run> {
  const input = transfer({ points: TOO_MANY });
  steering.at('undo', input.id, bug);
  const handle = await world.twinwrite.submit(kind, input);
  const { isParked, retry } = parkingOf(() => world);
  await isParked(handle);
  steering.at('undo', input.id, () => {});
  await retry(handle);
  return await settled(handle);
}

/** Cancelled after MongoDB has committed, before it is settled. */
async function cancelledLate({ world, steering }: Play, kind: Kind): Promise<Run> {
  const input = transfer();
  const gate = steering.gate('mongo apply', input.id);
  const lock = await world.postgres.connect();
  try {
    const handle = await world.twinwrite.submit(kind, input);
    await gate.reached();
    await lock.query('begin');
    const key = `account:${input.account}`;
    await lock.query('select from twinwrite.entity where key = $1 for update', [key]);
    gate.open();
    await handle.cancel();
    await eventually(async () => {
      const { done } = await handle.progress();
      return done.some(({ leg }) => leg === 'fencePostgres') ? true : undefined;
    }, 'Postgres is fenced');
    await lock.query('rollback');
    return await settled(handle);
  } finally {
    lock.release(true);
  }
}

async function undoneLate(play: Play): Promise<Run> {
  return await cancelledLate(play, play.kinds.transaction);
}

async function resumedForward(play: Play): Promise<Run> {
  return await cancelledLate(play, play.kinds.transactionHalf);
}

async function continuedAsNew({ world, kinds }: Play): Promise<Run> {
  const input = transfer({ points: TOO_MANY });
  const handle = await world.twinwrite.submit(kinds.projectionOnly, input);
  const { isParked, retry, workflowOf } = parkingOf(() => world);
  await isParked(handle);
  const { runId } = await workflowOf(handle).describe();
  await eventually(async () => {
    await workflowOf(handle).signal('retry', 'x'.repeat(1_500_000));
    await isParked(handle);
    return (await workflowOf(handle).describe()).runId === runId ? undefined : true;
  }, 'it is continued as new');
  await tolerate(world, [input.id, input.account]);
  await retry(handle);
  await handle.outcome();
  return { workflowId: handle.workflowId, runId };
}
