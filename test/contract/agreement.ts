import { expect } from '@jest/globals';
import type { Json, Outcome } from 'twinwrite';
import type { Effects } from './counting-update';
import type { Leg } from './leg';

/** What both stores must hold for an outcome: the same, as a whole, and once. */
export async function assertAgreement(leg: Leg, outcome: Outcome<Json>): Promise<void> {
  const stores = { postgres: await leg.effectsInPostgres(), mongo: await leg.effectsInMongo() };
  const left = ({ applied, undone }: Effects) => applied - undone;
  const context = { outcome: outcome.status, ...stores };
  switch (outcome.status) {
    case 'applied':
      expect(context).toMatchObject({
        postgres: { applied: 1, undone: 0 },
        mongo: { applied: 1, undone: 0 },
      });
      break;
    case 'compensated':
      // MongoDB may never have had it: then it has nothing to undo, or a tombstone.
      expect(context).toMatchObject({ postgres: { applied: 1, undone: 1 } });
      expect({ ...context, left: left(stores.mongo) }).toMatchObject({ left: 0 });
      expect(stores.mongo.applied).toBeLessThanOrEqual(1);
      break;
    case 'refused':
      expect(context).toMatchObject({
        postgres: { applied: 0, undone: 0 },
        mongo: { applied: 0, undone: 0 },
      });
  }
  expect(await leg.bench.state(leg.token)).toBe(outcome.status);
}
