/**
 * Goal: a commit or write of MongoDB whose answer never came is in doubt, and claiming the token
 * again resolves it, without waiting for the transaction that the fault left open (clause 4, F13).
 * Method: a proxy that knows the protocol loses or holds one request of one update, before the
 * server has it or after; all cases run at once, through a worker. Effects have ids of their own and
 * counters, so that one that happened twice is seen.
 */
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import type { UpdateHandle } from 'twinwrite';
import {
  type At,
  type Counted,
  countedProjection,
  countedTransaction,
  effectsOf,
  prepareEffects,
} from '../support/counted-definitions';
import type { Fault } from '../support/fault-proxy';
import {
  type FaultyStores,
  openFaultyStores,
  outcomeAfter,
  runSome,
} from '../support/faulty-stores';
import { openWorld, type World } from '../support/world';

const legTimeoutMillis = 3_000;

const APPLIED = { applied: 1, undone: 0 };
const UNDONE = { applied: 1, undone: 1 };
const NOTHING = { applied: 0, undone: 0 };

/** Updates that are cancelled while their Mongo leg runs. */
const cancelled = new Map<string, Promise<UpdateHandle>>();
const at: At = async (point, id) => {
  if (point === 'mongo: written') await (await cancelled.get(id))?.cancel();
};
const projection = countedProjection({ legTimeoutMillis });
const transaction = countedTransaction({ legTimeoutMillis, at });

interface Step {
  readonly step: string;
  readonly definition: Counted;
  /** The transcript that ends with the request to lose; `ID` stands for the update's. */
  readonly request: string;
  readonly ends?: 'compensated unapplied' | 'undone';
}

const STEPS: readonly Step[] = [
  { step: 'a claim', definition: transaction, request: '^insert twinwrite_ledger .*ID' },
  { step: 'a write', definition: transaction, request: '; insert effects .*ID' },
  { step: 'a commit', definition: transaction, request: 'ID.*; commitTransaction 1$' },
  {
    step: 'a fence',
    definition: transaction,
    request: '^findAndModify twinwrite_ledger .*ID',
    ends: 'compensated unapplied',
  },
  {
    step: 'the commit of an undo',
    definition: transaction,
    request: '^update twinwrite_ledger .*ID.*; commitTransaction 1$',
    ends: 'undone',
  },
  { step: 'an image', definition: projection, request: '^update projected .*ID' },
];

const FAULTS: readonly { readonly fault: Fault; readonly times: number }[] = [
  { fault: 'cut before delivery', times: 1 },
  { fault: 'cut before the answer', times: 1 },
  // The driver sends a commit again by itself: two losses outlast it.
  { fault: 'cut before delivery', times: 2 },
  { fault: 'cut before the answer', times: 2 },
  { fault: 'hold before delivery', times: 1 },
  { fault: 'hold the answer', times: 1 },
];

const CASES = STEPS.flatMap((step) => FAULTS.map((fault) => ({ ...step, ...fault })));

describe('a request to MongoDB', () => {
  let world: World;
  let stores: FaultyStores;
  let answerOf: ReturnType<typeof runSome<(typeof CASES)[number], Awaited<ReturnType<typeof run>>>>;

  beforeAll(async () => {
    world = await openWorld();
    await prepareEffects(world);
    stores = await openFaultyStores(world);
    await stores.startWorker([projection, transaction]);
    answerOf = runSome(CASES, 8, run);
  });

  afterAll(async () => {
    await stores.close();
    await world.close();
  });

  const run = async ({ definition, request, ends, fault, times }: (typeof CASES)[number]) => {
    const id = randomUUID();
    const met = stores.mongoProxy.plan({
      request: new RegExp(request.replace('ID', id)),
      fault,
      times,
    });
    const submit = () =>
      world.twinwrite.submit(definition, {
        id,
        ...(ends === 'compensated unapplied' ? { refusedBy: 'mongo' as const } : {}),
      });
    if (ends !== 'undone')
      return { id, outcome: await outcomeAfter({ met, times }, await submit()) };
    // Applied in both stores, kept from settling, and cancelled: MongoDB has to undo it.
    stores.postgresProxy.plan({
      request: new RegExp(`twinwrite\\.settle\\(.*${id}`),
      fault: 'cut before delivery',
      times: 3,
    });
    const submitted = submit();
    cancelled.set(id, submitted);
    return { id, outcome: await outcomeAfter({ met, times }, await submitted) };
  };

  const expectEffects = async ({ definition, ends }: Step, id: string) => {
    const effects = await effectsOf(world, definition, id);
    if (ends === 'undone') expect(effects).toEqual({ postgres: UNDONE, mongo: UNDONE });
    else if (ends === undefined) expect(effects).toEqual({ postgres: APPLIED, mongo: APPLIED });
    else expect(effects).toEqual({ postgres: UNDONE, mongo: NOTHING });
  };

  test.each(CASES)('clause 4: $definition.form, $step: $fault, $times times', async (one) => {
    const { id, outcome } = await answerOf(one);
    if (one.ends === undefined) expect(outcome).toEqual({ status: 'applied', result: { id } });
    else expect(outcome).toMatchObject({ status: 'compensated' });
    await expectEffects(one, id);
  });

  test('clause 8: what was held arrives late and changes nothing, and nothing is left open', async () => {
    await stores.release();
    for (const one of CASES) await expectEffects(one, (await answerOf(one)).id);
  });
});
