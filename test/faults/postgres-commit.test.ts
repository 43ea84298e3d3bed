/**
 * Goal: a COMMIT of PostgreSQL whose answer never came is in doubt, and claiming the token again
 * resolves it (clause 4). Method: a proxy that knows the protocol loses or holds the COMMIT of one
 * step of one update, before the server has it or after; all cases run at once, through a worker.
 * Effects have ids of their own, so that one that happened twice is seen.
 */
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import {
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
const projection = countedProjection({ legTimeoutMillis });
const transaction = countedTransaction({ legTimeoutMillis });

const APPLIED = { applied: 1, undone: 0 };
const UNDONE = { applied: 1, undone: 1 };
const NOTHING = { applied: 0, undone: 0 };

interface Step {
  readonly step: string;
  readonly definition: Counted;
  /** The function of the ledger that only this step's transaction calls. */
  readonly calls: string;
  readonly refusedBy?: 'postgres' | 'mongo';
}

const STEPS: readonly Step[] = [projection, transaction].flatMap((definition) => [
  { step: 'the leg', definition, calls: 'claim_or_wait' },
  { step: 'a refusal', definition, calls: 'refuse', refusedBy: 'postgres' },
  { step: 'settling', definition, calls: 'settle' },
  { step: 'the fence', definition, calls: 'fence', refusedBy: 'mongo' },
  { step: 'the undo', definition, calls: 'open_undo', refusedBy: 'mongo' },
]);

const FAULTS: readonly { readonly fault: Fault; readonly times: number }[] = [
  { fault: 'cut before delivery', times: 1 },
  { fault: 'cut before the answer', times: 1 },
  { fault: 'hold before delivery', times: 1 },
  { fault: 'hold the answer', times: 1 },
  { fault: 'fail the transaction first', times: 1 },
];

const CASES = [
  ...STEPS.flatMap((step) => FAULTS.map((fault) => ({ ...step, ...fault }))),
  ...STEPS.filter(({ step }) => step === 'the leg').map((step) => ({
    ...step,
    fault: 'cut before the answer' as const,
    times: 3,
  })),
];

describe('a COMMIT of PostgreSQL', () => {
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

  const run = async ({ definition, calls, refusedBy, fault, times }: (typeof CASES)[number]) => {
    const id = randomUUID();
    const request = new RegExp(`twinwrite\\.${calls}\\(.*${id}.*; commit$`);
    const met = stores.postgresProxy.plan({ request, fault, times });
    const handle = await world.twinwrite.submit(definition, {
      id,
      ...(refusedBy === undefined ? {} : { refusedBy }),
    });
    return { id, outcome: await outcomeAfter({ met, times }, handle) };
  };

  const expectEffects = async ({ definition, refusedBy }: Step, id: string) => {
    const effects = await effectsOf(world, definition, id);
    if (refusedBy === undefined) {
      expect(effects).toEqual({ postgres: APPLIED, mongo: APPLIED });
    } else if (refusedBy === 'postgres') {
      expect(effects).toEqual({ postgres: NOTHING, mongo: NOTHING });
    } else {
      // A refused transaction leaves nothing in MongoDB; a projection has the image of after it.
      const mongo = definition.form === 'projection' ? UNDONE : NOTHING;
      expect(effects).toEqual({ postgres: UNDONE, mongo });
    }
  };

  test.each(CASES)('clause 4: $definition.form, $step: $fault, $times times', async (one) => {
    const { id, outcome } = await answerOf(one);
    if (one.refusedBy === undefined) {
      expect(outcome).toEqual({ status: 'applied', result: { id } });
    } else {
      const status = one.refusedBy === 'postgres' ? 'refused' : 'compensated';
      expect(outcome).toMatchObject({ status });
    }
    await expectEffects(one, id);
  });

  test('clause 8: what was held arrives late and changes nothing, and nothing is left open', async () => {
    await stores.release();
    for (const one of CASES) await expectEffects(one, (await answerOf(one)).id);
  });
});
