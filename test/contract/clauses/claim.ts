import { expect } from '@jest/globals';
import { driveForward } from '../../../src/workflows/protocol';
import { eventually } from '../../support/eventually';
import type { LegClause } from '../clause';
import { Gate } from '../steering';

const ONCE = { applied: 1, undone: 0 };
const NOTHING = { applied: 0, undone: 0 };
const DUPLICATES = 50;

/** The claim: who wins it runs the leg, and everybody gets what the winner recorded. */
export const claimClauses: readonly LegClause[] = [
  {
    of: 'clause 3',
    says: 'the first claim runs the leg',
    check: async (leg) => {
      expect(await leg.apply()).toMatchObject({ applied: true });
      expect(await leg.effects()).toEqual(ONCE);
    },
  },
  {
    of: 'clause 3',
    says: 'a duplicate gets the recorded answer and runs nothing',
    check: async (leg) => {
      const first = await leg.apply();
      const runs = leg.runs();
      expect(await leg.apply()).toStrictEqual(first);
      expect(leg.runs()).toBe(runs);
      expect(await leg.effects()).toEqual(ONCE);
    },
  },
  {
    of: 'clause 3, F38',
    says: 'the first answer is the decoded record, as every later one is',
    check: async (leg, bench) => {
      const fresh = leg.fresh();
      const returned = {
        kept: [1, 'é'],
        dropped: undefined,
        nested: { at: '2020-01-01T00:00:00Z' },
      };
      bench.steering.on('postgres.apply', fresh.token, () => returned);
      await fresh.prepare();
      const result = { kept: [1, 'é'], nested: { at: '2020-01-01T00:00:00Z' } };
      expect(await fresh.apply()).toStrictEqual({ applied: true, result });
      const later = fresh.inWorker(bench.worker());
      expect(await later.apply()).toStrictEqual({ applied: true, result });
      expect(await driveForward(later.steps)).toStrictEqual({ status: 'applied', result });
    },
  },
  {
    of: 'clause 3',
    says: 'fifty concurrent duplicates have one effect and fifty equal answers',
    check: async (leg) => {
      const answers = await Promise.all(Array.from({ length: DUPLICATES }, () => leg.apply()));
      expect(new Set(answers.map((answer) => JSON.stringify(answer))).size).toBe(1);
      expect(answers[0]).toMatchObject({ applied: true });
      expect(await leg.effects()).toEqual(ONCE);
    },
  },
  {
    of: 'clause 3, F25',
    says: 'fifty duplicates of an open leg leave the pool to the others',
    check: async (leg, { steering }) => {
      const gate = new Gate();
      steering.on(leg.applyPlace, leg.token, gate.pass);
      const drivers = Array.from({ length: DUPLICATES }, () => driveForward(leg.steps));
      await gate.arrived;
      let otherOutcome: unknown;
      const other = driveForward(leg.fresh().steps).then((outcome) => {
        otherOutcome = outcome;
      });
      const passed = eventually(() => otherOutcome, 'another token gets through', 1_000);
      // Whether it did or not: nobody is left waiting at the gate.
      await passed.catch(() => {});
      gate.open();
      const outcomes = await Promise.all(drivers);
      await other;
      expect(new Set(outcomes.map((outcome) => JSON.stringify(outcome))).size).toBe(1);
      expect(outcomes[0]).toMatchObject({ status: 'applied' });
      expect(await leg.effects()).toEqual(ONCE);
      await expect(passed).resolves.toMatchObject({ status: 'applied' });
      const { waitingCount, idleCount, totalCount } = leg.worker.postgres;
      expect({ waitingCount, busy: totalCount - idleCount }).toEqual({ waitingCount: 0, busy: 0 });
    },
  },
  {
    of: 'clause 3',
    says: 'a crash between claim and COMMIT leaves nothing, and the next attempt applies once',
    check: async (leg, { steering }) => {
      const seen: unknown[] = [];
      const runs = leg.runs();
      steering.on(leg.applyPlace, leg.token, async (occasion) => {
        if (occasion.run === runs + 1) await leg.crash(occasion);
        else seen.push(await leg.effects());
      });
      expect(await leg.apply()).toMatchObject({ applied: true });
      expect(seen).toEqual([NOTHING]);
      expect(await leg.effects()).toEqual(ONCE);
    },
  },
  {
    of: 'clause 3',
    says: 'an attempt that fails after its write leaves nothing, and the claim is free again',
    check: async (leg, { steering }) => {
      const runs = leg.runs();
      steering.on(leg.applyPlace, leg.token, ({ run }) => {
        if (run <= runs + 2) throw new Error('by the test');
      });
      expect(await leg.apply()).toMatchObject({ applied: true });
      expect(leg.runs()).toBe(runs + 3);
      expect(await leg.effects()).toEqual(ONCE);
    },
  },
];
