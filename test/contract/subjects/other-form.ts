import { expect } from '@jest/globals';
import type { Substitute } from '../clause';
import { countingUpdate } from '../counting-update';

/** The same for both forms of Mongo leg. */
export const otherForm: Substitute = {
  since: 'the Mongo leg is told the recorded form, and asks the build for the code of it',
  says: 'a build of the other form leaves the leg to the build that can run it',
  check: async (leg, bench) => {
    const { steering } = bench;
    const { name, form } = bench.definition;
    const other = countingUpdate({
      name,
      form: form === 'projection' ? 'transaction' : 'projection',
      steering,
    });
    const deployed = leg.inWorker(bench.worker(other));
    deployed.isRetried = false;
    await expect(deployed.apply()).rejects.toMatchObject({
      type: 'InvalidDefinition',
      nonRetryable: false,
    });
    expect(await leg.effects()).toEqual({ applied: 0, undone: 0 });
    expect(await leg.apply()).toMatchObject({ applied: true });
    expect(await leg.effects()).toEqual({ applied: 1, undone: 0 });
  },
};
