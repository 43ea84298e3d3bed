/**
 * Goal: clause 6, F15: a refusal by MongoDB that has no way back parks the update at its first
 * attempt, and it heals: by a later version of its document, or by a retry once MongoDB takes it.
 * However long it is parked, its caller and its operators find it. Method: validators that refuse,
 * and then tolerate; a history that is made long.
 */
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { registerSearchAttributes } from '../../src/client/register-search-attributes';
import { eventually } from '../support/eventually';
import { openWorld, type RunningWorker, type World } from '../support/world';
import { expectAgreement } from './agreement';
import { parkingOf } from './parking';
import { Steering } from './steering';
import {
  FRAGILE,
  prepareTransfers,
  stateOf,
  TOO_MANY,
  tolerate,
  transfer,
  transferKinds,
} from './transfers';

let world: World;
let worker: RunningWorker;
const kinds = transferKinds(new Steering());
const { attributesOf, isParked, retry, workflowOf } = parkingOf(() => world);

beforeAll(async () => {
  world = await openWorld();
  await prepareTransfers(world);
  await registerSearchAttributes(world.temporal);
  worker = await world.startWorker({ updates: Object.values(kinds) });
});

afterAll(async () => {
  await worker.stop();
  await world.close();
});

test('F15: a free update is parked by the refusal of its document, and healed by a later version of it', async () => {
  const { account } = transfer();
  const large = () => transfer({ account, points: 0.6 * TOO_MANY });
  await world.twinwrite.execute(kinds.projectionOnly, large());
  const second = large();
  const refused = await world.twinwrite.submit(kinds.projectionOnly, second);
  const reason = await isParked(refused);
  expect(reason).toContain('MongoDB refused the data (code 121, document validation, balances)');
  expect(reason).toContain('has no undo');
  expect(await stateOf(world, second.id)).toBe('parked');
  // It holds nothing: what makes its document acceptable is not kept from it.
  const smaller = transfer({ account, points: -0.4 * TOO_MANY });
  expect(await world.twinwrite.execute(kinds.projectionOnly, smaller)).toMatchObject({
    status: 'applied',
  });
  await retry(refused);
  expect(await refused.outcome()).toMatchObject({ status: 'applied' });
  const balances = world.mongo.db().collection<{ _id: string }>('balances');
  expect(await balances.findOne({ _id: account })).toMatchObject({ points: 0.8 * TOO_MANY });
});

test('F15, F31: a transaction without a way back keeps its hold, cannot be cancelled, and finishes once MongoDB takes it', async () => {
  const input = transfer({ points: TOO_MANY });
  const handle = await world.twinwrite.submit(kinds.transactionOnly, input);
  await isParked(handle);
  const behind = transfer({ account: input.account, points: -TOO_MANY });
  const waiter = await world.twinwrite.submit(kinds.transactionOnly, behind);
  await eventually(
    async () => ((await stateOf(world, behind.id)) === 'queued' ? true : undefined),
    'the next one waits',
  );
  await handle.cancel();
  await eventually(async () => {
    const { done, parked } = await handle.progress();
    return done.at(-1)?.leg === 'fencePostgres' && parked !== undefined ? true : undefined;
  }, 'the cancellation found no way back');
  await tolerate(world, [input.id, input.account]);
  await retry(handle);
  expect(await handle.outcome()).toMatchObject({ status: 'applied' });
  expect(await waiter.outcome()).toMatchObject({ status: 'applied' });
  expect(await stateOf(world, input.id)).toBe('applied');
});

test('clause 5: an undo that MongoDB refuses to show is parked too, and finishes once it is taken', async () => {
  const { id } = transfer();
  const input = transfer({ account: `${FRAGILE} ${id}`, points: TOO_MANY });
  const handle = await world.twinwrite.submit(kinds.projection, input);
  expect(await isParked(handle)).toContain('code 121');
  expect((await handle.progress()).done.at(-1)).toEqual({ leg: 'undoPostgres', answer: 'undoing' });
  await tolerate(world, [input.account]);
  await retry(handle);
  expect(await handle.outcome()).toMatchObject({ status: 'compensated' });
  await expectAgreement(world, kinds.projection, input, 'compensated');
});

test('clause 5: what is parked is tried again by itself, half a minute later', async () => {
  const input = transfer({ points: TOO_MANY });
  const handle = await world.twinwrite.submit(kinds.transactionOnly, input);
  await isParked(handle);
  await tolerate(world, [input.id, input.account]);
  // Nobody tells it, so that nothing but its own timer can have woken it.
  expect(await handle.outcome({ timeoutMillis: 60_000 })).toMatchObject({ status: 'applied' });
  const events = (await workflowOf(handle).fetchHistory()).events ?? [];
  expect(events.filter(({ timerFiredEventAttributes }) => timerFiredEventAttributes)).toHaveLength(
    1,
  );
  expect(events.filter(({ workflowExecutionSignaledEventAttributes: signal }) => signal)).toEqual(
    [],
  );
  await expectAgreement(world, kinds.transactionOnly, input, 'applied');
});

test('a parked update whose history grows long goes on in a new run, under the same name for everybody', async () => {
  const input = transfer({ points: TOO_MANY });
  const handle = await world.twinwrite.submit(kinds.projectionOnly, input);
  await isParked(handle);
  const { memo, runId } = await workflowOf(handle).describe();
  const attributes = await attributesOf(handle);
  // Temporal suggests it at four megabytes; what a signal carries counts, and nobody reads it here.
  const bulk = 'x'.repeat(1_500_000);
  const continued = await eventually(
    async () => {
      await workflowOf(handle).signal('retry', bulk);
      // Told again at once, it could not end its run: what nobody has read yet keeps it open.
      await isParked(handle);
      const description = await workflowOf(handle).describe();
      return description.runId === runId ? undefined : description;
    },
    'it is continued as new',
    40_000,
  );
  expect(continued.memo).toEqual(memo);
  expect(await attributesOf(handle)).toMatchObject({
    TwinwriteDefinition: attributes['TwinwriteDefinition'],
  });
  await isParked(handle);
  await tolerate(world, [input.id, input.account]);
  await retry(handle);
  expect(await handle.outcome()).toMatchObject({ status: 'applied' });
  // Its caller attaches to the new run, and another input is told from it.
  expect(await world.twinwrite.execute(kinds.projectionOnly, input)).toMatchObject({
    status: 'applied',
  });
  const reused = world.twinwrite.execute(kinds.projectionOnly, { ...input, points: 1 });
  await expect(reused).rejects.toMatchObject({ code: 'TokenReused' });
  await expectAgreement(world, kinds.projectionOnly, input, 'applied');
});
