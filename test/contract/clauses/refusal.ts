import { expect } from '@jest/globals';
import { eventually } from '../../support/eventually';
import type { LegClause } from '../clause';
import { Gate } from '../steering';

const NOTHING = { applied: 0, undone: 0 };

/** Refusals: rolled back as a whole, and the first record wins. */
export const refusalClauses: readonly LegClause[] = [
  {
    of: 'clause 6',
    says: 'what the callback refuses is rolled back',
    check: async (leg, { steering }) => {
      steering.on(leg.applyPlace, leg.token, ({ refuse }) => refuse?.('by the test'));
      expect(await leg.apply()).toEqual({
        applied: false,
        reason: { code: 'RefusedByDefinition', message: 'by the test' },
      });
      expect(await leg.effects()).toEqual(NOTHING);
    },
  },
  {
    of: 'clause 6, F27',
    says: 'a recorded refusal is answered to an attempt that would succeed',
    check: async (leg, { steering }) => {
      steering.on(leg.applyPlace, leg.token, ({ refuse }) => refuse?.('by the test'));
      const first = await leg.apply();
      steering.off(leg.applyPlace, leg.token);
      expect(await leg.apply()).toStrictEqual(first);
      expect(leg.runs()).toBe(1);
      expect(await leg.effects()).toEqual(NOTHING);
    },
  },
  {
    of: 'clause 6, F27',
    says: 'a refusal that comes after another attempt was applied answers as that one',
    check: async (leg, bench) => {
      const gate = new Gate();
      bench.steering.on(leg.applyPlace, leg.token, async ({ run, refuse }) => {
        if (run > 1) return;
        await gate.pass();
        refuse?.('by the test');
      });
      const refused = leg.apply();
      await gate.arrived;
      const applied = leg.inWorker(bench.worker()).apply();
      await eventually(
        async () => {
          const { rowCount } = await bench.world.postgres.query(
            `select 1 from pg_stat_activity where datname = current_database()
            and wait_event_type = 'Lock' and query like '%twinwrite.claim%'`,
          );
          return rowCount === 0 ? undefined : true;
        },
        'the second claim waits for the first',
        5_000,
      );
      gate.open();
      // Whichever record comes first, both answer it.
      const answer = await applied;
      expect(await refused).toStrictEqual(answer);
      expect(await leg.effects()).toEqual({ applied: answer.applied ? 1 : 0, undone: 0 });
    },
  },
  {
    of: 'clause 6, F27',
    says: 'a constraint that fails at COMMIT is a refusal',
    check: async (leg, { steering }) => {
      steering.on(leg.applyPlace, leg.token, async ({ client }) => {
        await client?.query('insert into once (points) values (7), (7)');
      });
      const refusal = {
        applied: false,
        reason: { code: 'RefusedByPostgres', constraint: 'once_points' },
      };
      expect(await leg.apply()).toMatchObject(refusal);
      expect(await leg.apply()).toMatchObject(refusal);
      expect(leg.runs()).toBe(1);
      expect(await leg.effects()).toEqual(NOTHING);
    },
  },
  {
    of: 'clause 2, F38',
    says: 'what is too large to record is refused, and rolled back',
    check: async (leg, { steering }) => {
      steering.on(leg.applyPlace, leg.token, () => 'x'.repeat(300_000));
      const refusal = { applied: false, reason: { code: 'ResultNotRecordable' } };
      expect(await leg.apply()).toMatchObject(refusal);
      expect(await leg.apply()).toMatchObject(refusal);
      expect(await leg.effects()).toEqual(NOTHING);
    },
  },
];
