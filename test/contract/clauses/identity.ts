import { expect } from '@jest/globals';
import { eventually } from '../../support/eventually';
import { REASON } from '../bench';
import type { LegClause } from '../clause';
import { countingUpdate } from '../counting-update';
import type { Leg } from '../leg';
import { Gate } from '../steering';

const OTHER = { points: 2 };
const REUSED = { type: 'TokenReused', nonRetryable: true };

/** Neither side of the other caller's leg has any effect, and the rightful caller is answered. */
async function assertReused(leg: Leg): Promise<void> {
  const before = await leg.effects();
  const other = leg.withInput(OTHER);
  await expect(other.apply()).rejects.toMatchObject(REUSED);
  await expect(other.fence()).rejects.toMatchObject(REUSED);
  expect(await leg.effects()).toEqual(before);
}

/** Who a token belongs to, and what was agreed when it was claimed. */
export const identityClauses: readonly LegClause[] = [
  {
    of: 'clause 1',
    says: 'another payload finds the leg open and is TokenReused',
    check: async (leg, bench) => {
      const gate = new Gate();
      bench.steering.on(leg.applyPlace, leg.token, gate.pass);
      const applying = leg.apply();
      await gate.arrived;
      // In this process the leg is in flight, whatever shares it; in the other it is only a lock.
      const here = leg.withInput(OTHER);
      const elsewhere = here.inWorker(bench.worker());
      const failures: unknown[] = [];
      elsewhere.watch.failed = (_step, failure) => failures.push(failure);
      const reused = Promise.all(
        [here, elsewhere].map((other) => expect(other.apply()).rejects.toMatchObject(REUSED)),
      );
      await eventually(() => failures.length > 0 || undefined, 'the other gave up waiting', 5_000);
      gate.open();
      await reused;
      expect(await applying).toMatchObject({ applied: true });
      expect(leg.runs()).toBe(1);
      expect(await leg.effects()).toEqual({ applied: 1, undone: 0 });
    },
  },
  {
    of: 'clause 1',
    says: 'another payload finds the leg applied and is TokenReused',
    check: async (leg) => {
      const rightful = await leg.apply();
      await assertReused(leg);
      expect(await leg.apply()).toStrictEqual(rightful);
    },
  },
  {
    of: 'clause 1',
    says: 'another payload finds the leg fenced and is TokenReused',
    check: async (leg) => {
      await leg.takeBack();
      await assertReused(leg);
      expect(await leg.apply()).toMatchObject({ applied: false });
    },
  },
  {
    of: 'clause 1',
    says: 'another payload finds the leg undone and is TokenReused',
    check: async (leg) => {
      await leg.apply();
      await leg.takeBack();
      await assertReused(leg);
      expect(await leg.takeBack()).toMatchObject({ applied: false });
    },
  },
  {
    of: 'clause 1',
    says: 'another payload finds the leg refused and is TokenReused',
    check: async (leg, { steering }) => {
      steering.on(leg.applyPlace, leg.token, ({ refuse }) => refuse?.('by the test'));
      const rightful = await leg.apply();
      await assertReused(leg);
      expect(await leg.apply()).toStrictEqual(rightful);
    },
  },
  {
    of: 'clause 1',
    says: 'the same payload with its keys in another order is the same',
    check: async (leg) => {
      const one = leg.fresh().withInput({ points: 1, note: 'é' });
      await one.prepare();
      const first = await one.apply();
      const two = one.withInput({ note: 'é', points: 1 });
      expect(Object.keys(two.input)).not.toEqual(Object.keys(one.input));
      expect(await two.apply()).toStrictEqual(first);
      expect(await one.effects()).toEqual({ applied: 1, undone: 0 });
    },
  },
  {
    of: 'clause 10, F30',
    says: 'what was recorded with the claim stands after a deploy changed the definition',
    check: async (leg, bench) => {
      await leg.apply();
      const recorded = await leg.steps.applyPostgres();
      const { name, form } = bench.definition;
      const changed = countingUpdate({
        name,
        form: form === 'projection' ? 'transaction' : 'projection',
        undo: 'none',
        steering: bench.steering,
        entities: () => ['other:1'],
      });
      const deployed = leg.inWorker(bench.worker(changed));
      expect(await deployed.steps.applyPostgres()).toStrictEqual(recorded);
      expect(recorded).toMatchObject({
        at: 'forward',
        claim: {
          form,
          undoable: true,
          entities: [`counted:${leg.token}`],
          documents: form === 'projection' ? [`${name}/${leg.token}`] : [],
        },
      });
      // The old build's undo is missed, not forgotten: the new build fences, the old one undoes.
      const fenced = await deployed.steps.fencePostgres(REASON);
      expect(fenced).toMatchObject({ at: 'undoing', claim: { form, undoable: true } });
      expect(await leg.takeBack()).toMatchObject({ applied: false });
    },
  },
];
