import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import type { ActivitySteps } from './activity-steps';
import { Bench } from './bench';
import type { Subject } from './clause';
import { claimClauses } from './clauses/claim';
import { compensationClauses } from './clauses/compensation';
import { identityClauses } from './clauses/identity';
import { refusalClauses } from './clauses/refusal';

const CONTRACT = [...claimClauses, ...compensationClauses, ...refusalClauses, ...identityClauses];

/**
 * Goal: the contract of one leg, the same for both stores and both forms: each test is one clause, on a
 * token of its own. Where a store and form cannot have a clause, the test says why and checks what
 * holds in its place. Method: the activities themselves on the real stores, without a
 * workflow; callbacks are steered from outside, and every effect is counted.
 */
export function describeLegContract(subject: Subject): void {
  describe(`${subject.store}, ${subject.form} form`, () => {
    let bench: Bench;
    let worker: ActivitySteps;

    beforeAll(async () => {
      bench = await Bench.open(subject.form);
      worker = bench.worker();
    });

    afterAll(async () => {
      await bench.close();
    });

    for (const { of, says, check } of CONTRACT) {
      const substitute = subject.instead[says];
      const name =
        substitute === undefined ? says : `${substitute.says} (not "${says}": ${substitute.since})`;
      test(`${of}: ${name}`, async () => {
        const leg = subject.leg(bench, worker);
        await leg.prepare();
        await (substitute?.check ?? check)(leg, bench);
      });
    }

    test('every substitute stands for a clause of the contract', () => {
      const clauses = new Set(CONTRACT.map(({ says }) => says));
      const strays = Object.keys(subject.instead).filter((says) => !clauses.has(says));
      expect(strays).toEqual([]);
    });
  });
}
