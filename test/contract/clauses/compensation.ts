import { expect } from '@jest/globals';
import type { ApplicationFailure } from '@temporalio/activity';
import { eventually } from '../../support/eventually';
import type { LegClause } from '../clause';
import { Gate } from '../steering';

const NOTHING = { applied: 0, undone: 0 };
const UNDONE = { applied: 1, undone: 1 };

/** The way back: a fence that lasts, and an undo that takes effect once. */
export const compensationClauses: readonly LegClause[] = [
  {
    of: 'clause 5',
    says: 'undone before it was applied, it never runs',
    check: async (leg) => {
      expect(await leg.takeBack()).toMatchObject({ applied: false });
      const runs = leg.runs();
      expect(await leg.apply()).toMatchObject({ applied: false });
      expect(await leg.apply()).toMatchObject({ applied: false });
      expect(leg.runs()).toBe(runs);
      expect(await leg.effects()).toEqual(NOTHING);
    },
  },
  {
    of: 'clause 5',
    says: 'applied late, after the undo, it is refused for ever',
    check: async (leg) => {
      await leg.apply();
      const runs = leg.runs();
      expect(await leg.takeBack()).toMatchObject({ applied: false });
      expect(await leg.apply()).toMatchObject({ applied: false });
      expect(leg.runs()).toBe(runs);
      expect(await leg.effects()).toEqual(UNDONE);
    },
  },
  {
    of: 'clause 5',
    says: 'undone twice, and by ten at once, it is undone once',
    check: async (leg, bench) => {
      await leg.apply();
      const elsewhere = leg.inWorker(bench.worker());
      await Promise.all(
        Array.from({ length: 10 }, (_, index) => (index % 2 === 0 ? leg : elsewhere).takeBack()),
      );
      await leg.takeBack();
      expect(await leg.effects()).toEqual(UNDONE);
    },
  },
  {
    of: 'clause 5',
    says: 'an undo that fails after its write and then works is undone once',
    check: async (leg, { steering }) => {
      await leg.apply();
      steering.on(leg.undoPlace, leg.token, ({ run }) => {
        if (run <= 2) throw new Error('by the test');
      });
      await leg.takeBack();
      expect(leg.runs(leg.undoPlace)).toBe(3);
      expect(await leg.effects()).toEqual(UNDONE);
    },
  },
  {
    of: 'clause 5',
    says: 'undone while it is open and uncommitted, it ends undone as a whole',
    check: async (leg, bench) => {
      const gate = new Gate();
      bench.steering.on(leg.applyPlace, leg.token, gate.pass);
      const applying = leg.apply();
      await gate.arrived;
      const takingBack = leg.inWorker(bench.worker()).takeBack();
      await leg.fenceWaits();
      gate.open();
      await applying;
      await takingBack;
      expect(await leg.effects()).toEqual(UNDONE);
      expect(await leg.apply()).toMatchObject({ applied: false });
    },
  },
  {
    of: 'clause 5, F25',
    says: 'a fence waits a second for an open leg, and is then retried',
    check: async (leg, bench) => {
      const gate = new Gate();
      bench.steering.on(leg.applyPlace, leg.token, gate.pass);
      const applying = leg.apply();
      await gate.arrived;
      const other = leg.inWorker(bench.worker());
      const failures: ApplicationFailure[] = [];
      other.watch.failed = (_step, failure) => failures.push(failure);
      const startedAt = performance.now();
      const takingBack = other.takeBack();
      await eventually(() => failures.length > 0 || undefined, 'the fence gave up waiting', 5_000);
      const waitedMillis = performance.now() - startedAt;
      gate.open();
      await applying;
      await takingBack;
      expect(failures[0]).toMatchObject({
        type: 'Postgres',
        message: expect.stringContaining('55P03'),
      });
      expect(waitedMillis).toBeGreaterThan(900);
      expect(waitedMillis).toBeLessThan(2_000);
      expect(await leg.effects()).toEqual(UNDONE);
    },
  },
  {
    of: 'clause 5',
    says: 'a leg that dies while a fence waits for it never was',
    check: async (leg, bench) => {
      const gate = new Gate();
      bench.steering.on(leg.applyPlace, leg.token, async ({ run }) => {
        await gate.pass();
        if (run === 1) throw new Error('by the test');
      });
      const applying = leg.apply();
      await gate.arrived;
      const takingBack = leg.inWorker(bench.worker()).takeBack();
      await leg.fenceWaits();
      gate.open();
      expect(await takingBack).toMatchObject({ applied: false });
      await applying;
      const { applied, undone } = await leg.effects();
      // The retry and the fence race: whoever is first, nothing is left applied.
      expect(applied - undone).toBe(0);
      expect(await leg.apply()).toMatchObject({ applied: false });
    },
  },
];
