/**
 * Goal: drivers of one token that see different things end with one outcome, and both stores agree
 * with it (clause 5, F8, F9). Method: production's own `driveForward` and `driveBack` over the real
 * steps: once through every interleaving of two that would decide differently, and many rounds of
 * several at once.
 */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import type { Json, Outcome } from 'twinwrite';
import { driveBack, driveForward } from '../../src/workflows/protocol';
import type { ActivitySteps, StepWatch } from './activity-steps';
import { assertAgreement } from './agreement';
import { Bench, REASON } from './bench';
import { everyInterleaving, type TakeTurn } from './interleavings';
import { MongoProjectionLeg, MongoTransactionLeg } from './leg';

const KINDS = [
  { kind: 'projection', form: 'projection', undo: 'both' },
  { kind: 'transaction', form: 'transaction', undo: 'both' },
  { kind: 'transaction without an undo in MongoDB', form: 'transaction', undo: 'postgres' },
] as const;

describe.each(KINDS)('$kind: drivers of one token', ({ form, undo }) => {
  let bench: Bench;
  let workers: [ActivitySteps, ActivitySteps];

  beforeAll(async () => {
    bench = await Bench.open(form, undo);
    workers = [bench.worker(), bench.worker()];
  });

  afterAll(async () => {
    await bench.close();
  });

  const freshLeg = () =>
    new (form === 'projection' ? MongoProjectionLeg : MongoTransactionLeg)(bench, workers[0]);
  type AnyLeg = ReturnType<typeof freshLeg>;

  const driver = (leg: AnyLeg, index: number, watch: StepWatch) => {
    const worker = workers[index % 2] ?? workers[0];
    return worker.bind(bench.request(leg.token, leg.input), watch);
  };

  test('clause 5, F9: refused to one and open to the other, at every interleaving', async () => {
    const seen = new Set<string>();
    let leg = freshLeg();
    const runs = await everyInterleaving<Outcome<Json>>(
      async () => {
        leg = freshLeg();
        const { token } = leg;
        bench.steering.refuseInMongo(token);
        return [
          (takeTurn) => driveForward(driver(leg, 0, turnsOnceRefused(token, takeTurn))),
          (takeTurn) => driveForward(driver(leg, 1, { before: takeTurn })),
        ];
      },
      async ([first, second], schedule) => {
        if (first === undefined) throw new Error('two drivers have two outcomes');
        expect({ schedule, outcome: second }).toEqual({ schedule, outcome: first });
        await assertAgreement(leg, first);
        seen.add(first.status);
      },
    );
    expect(runs).toBeGreaterThan(10);
    expect([...seen].sort()).toEqual(['applied', 'compensated']);
  });

  /**
   * This driver runs by itself until MongoDB refuses it; then somebody lifts what refused it, and
   * the turns begin.
   */
  function turnsOnceRefused(token: string, takeTurn: TakeTurn): StepWatch {
    let isRefused = false;
    return {
      before: async () => {
        if (isRefused) await takeTurn();
      },
      answered: (_step, at) => {
        if (at !== 'refused') return;
        isRefused = true;
        bench.steering.letIn(token);
      },
    };
  }

  test('clause 5, F8: two that go forward and two that go back, in any order', async () => {
    const seen = new Set<string>();
    for (let round = 0; round < 16; round += 1) {
      const random = seeded(round);
      const leg = freshLeg();
      const before = () => passTime(bench, Math.floor(random() * 5));
      const drives = [driveForward, driveForward, driveBack, driveBack];
      const outcomes = await Promise.all(
        drives.map((drive, index) => drive(driver(leg, index, { before }), REASON)),
      );
      const [first] = outcomes;
      if (first === undefined) throw new Error('four drivers have four outcomes');
      expect({ round, outcomes }).toEqual({ round, outcomes: outcomes.map(() => first) });
      await assertAgreement(leg, first);
      seen.add(first.status);
    }
    // Where every round ends the same way, no round raced.
    expect(seen.size).toBeGreaterThan(1);
  });

  test('clause 5: of fencing and settling exactly one happens', async () => {
    const winners = new Set<string>();
    // Later by a few round trips when the fence won, earlier when it lost: the two meet.
    let roundTrips = 0;
    for (let round = 0; round < 14; round += 1) {
      const leg = freshLeg();
      await leg.prepare();
      const before = () => passTime(bench, roundTrips);
      const [settled, fenced] = await Promise.all([
        driver(leg, 0, {}).applyMongo(leg.claim),
        driver(leg, 1, { before }).fencePostgres(REASON),
      ]);
      expect({ round, settled }).toEqual({ round, settled: { ...settled, at: fenced.at } });
      winners.add(fenced.at);
      roundTrips = Math.max(0, roundTrips + (fenced.at === 'undoing' ? 5 : -3));
      await assertAgreement(leg, await driveBack(leg.steps, REASON));
    }
    expect([...winners].sort()).toEqual(['settled', 'undoing']);
  });

  test('clause 5: settled by ten at once, it is settled once', async () => {
    const leg = freshLeg();
    await leg.prepare();
    const answers = await Promise.all(
      Array.from({ length: 10 }, (_, index) => driver(leg, index, {}).applyMongo(leg.claim)),
    );
    const outcome = { status: 'applied', result: { points: 1 } } as const;
    expect(answers).toStrictEqual(answers.map(() => ({ at: 'settled', outcome })));
    await assertAgreement(leg, outcome);
  });

  test('clause 5: taken back between the Mongo leg and its settling, it ends as a whole', async () => {
    const leg = freshLeg();
    await leg.prepare();
    await leg.apply();
    const outcome = await driveBack(leg.steps, REASON);
    // Without an undo in MongoDB there is no way back: it goes forward again.
    expect(outcome.status).toBe(undo === 'postgres' ? 'applied' : 'compensated');
    expect(await driveForward(leg.steps)).toStrictEqual(outcome);
    await assertAgreement(leg, outcome);
  });

  test('clause 5: once Postgres is undone nobody turns the update forward again', async () => {
    const leg = freshLeg();
    await leg.prepare();
    await leg.steps.fencePostgres(REASON);
    if (form === 'transaction') await leg.steps.fenceMongo(leg.claim);
    await leg.steps.undoPostgres();
    expect((await leg.steps.resumeForward()).at).not.toBe('forward');
    const outcome = await driveForward(leg.steps);
    expect(outcome).toEqual({ status: 'compensated', reason: REASON });
    await assertAgreement(leg, outcome);
  });
});

/** Round trips that do nothing: they shift one driver against the others, and wait for no clock. */
async function passTime({ world }: Bench, roundTrips: number): Promise<void> {
  for (let left = roundTrips; left > 0; left -= 1) await world.postgres.query('select 1');
}

/** Mulberry32: a round that fails can be run again. */
function seeded(seed: number): () => number {
  let state = seed + 0x6d2b79f5;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}
