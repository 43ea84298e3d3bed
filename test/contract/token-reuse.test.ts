/**
 * Goal: a token belongs to the payload that had it first, and nobody else's stands in the way of
 * the rightful caller: while the update is open, when it is closed, and when Temporal has forgotten
 * it (clause 1, F11). Method: the client and a worker as users have them; forgetting is deleting
 * the workflow's execution. Temporal takes up to a minute to delete one that has closed, and no
 * time for one that is open: so a settled update is forgotten whose workflow never got a worker,
 * and that another driver has settled.
 */
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { WorkflowNotFoundError } from '@temporalio/client';
import type { Json, Outcome, OutcomeStatus } from 'twinwrite';
import { driveForward } from '../../src/workflows/protocol';
import { eventually } from '../support/eventually';
import type { RunningWorker } from '../support/world';
import type { ActivitySteps } from './activity-steps';
import { assertAgreement } from './agreement';
import { Bench } from './bench';
import { MongoProjectionLeg, MongoTransactionLeg } from './leg';
import { Gate } from './steering';

const STATUSES = ['applied', 'compensated', 'refused'] as const;

describe.each(['projection', 'transaction'] as const)('%s form: a token used again', (form) => {
  let bench: Bench;
  let elsewhere: ActivitySteps;
  let worker: RunningWorker;

  const forgotten = new Map<OutcomeStatus, { token: string; outcome: Outcome<Json> }>();

  beforeAll(async () => {
    bench = await Bench.open(form);
    elsewhere = bench.worker();
    for (const status of STATUSES) {
      const token = randomUUID();
      const handle = await bench.world.twinwrite.submit(bench.definition, { id: token, points: 1 });
      steerTo(status, token);
      const outcome = await driveForward(legOf(token).steps);
      bench.steering.letIn(token);
      await forget(handle.workflowId);
      forgotten.set(status, { token, outcome });
    }
    worker = await bench.world.startWorker({ updates: [bench.definition] });
  });

  afterAll(async () => {
    await worker.stop();
    await bench.close();
  });

  function steerTo(status: OutcomeStatus, token: string): void {
    if (status === 'compensated') bench.steering.refuseInMongo(token);
    bench.steering.on('postgres.apply', token, ({ run, refuse }) => {
      if (status === 'refused' && run === 1) refuse?.('by the test');
    });
  }

  /** The effects of a token, whoever drives it. */
  const legOf = (token: string) =>
    new (form === 'projection' ? MongoProjectionLeg : MongoTransactionLeg)(
      bench,
      elsewhere,
      token,
      { points: 1 },
    );
  const execute = async (token: string, points = 1) =>
    await bench.world.twinwrite.execute(bench.definition, { id: token, points });
  const assertReused = async (token: string) => {
    await expect(execute(token, 2)).rejects.toMatchObject({ code: 'TokenReused', token });
  };

  async function forget(workflowId: string): Promise<void> {
    const { temporal } = bench.world;
    const handle = temporal.workflow.getHandle(workflowId);
    await temporal.workflowService.deleteWorkflowExecution({
      namespace: temporal.options.namespace,
      workflowExecution: { workflowId },
    });
    await eventually(async () => {
      try {
        await handle.describe();
        return undefined;
      } catch (error) {
        if (error instanceof WorkflowNotFoundError) return true;
        throw error;
      }
    }, 'Temporal has forgotten the workflow');
  }

  test('clause 1: another payload is refused while the update is open', async () => {
    const token = randomUUID();
    const gate = new Gate();
    bench.steering.on('postgres.apply', token, gate.pass);
    const rightful = execute(token);
    await gate.arrived;
    await assertReused(token);
    gate.open();
    expect(await rightful).toEqual({ status: 'applied', result: { points: 1 } });
    expect(await execute(token)).toEqual(await rightful);
    await assertAgreement(legOf(token), await rightful);
  });

  test('clause 1: another payload is refused when the update is closed', async () => {
    const token = randomUUID();
    const rightful = await execute(token);
    await assertReused(token);
    expect(await execute(token)).toEqual(rightful);
    await assertAgreement(legOf(token), rightful);
  });

  test.each(STATUSES)(
    'clause 1, F11: forgotten by Temporal, %s: another payload comes first and poisons nothing',
    async (status) => {
      const { token, outcome } = forgotten.get(status) ?? { token: '', outcome: undefined };
      expect(outcome).toMatchObject({ status });
      await assertReused(token);
      // Its run failed, so the token is free; and again, beside the wrong fingerprint in its memo.
      await assertReused(token);
      const rightful = await execute(token);
      expect(rightful).toEqual(outcome);
      await assertReused(token);
      expect(bench.steering.runs('postgres.apply', token)).toBe(1);
      await assertAgreement(legOf(token), rightful);
    },
  );

  test('clause 1, F11: forgotten while it is being undone, it is taken up by the rightful caller', async () => {
    const token = randomUUID();
    let isHeld = true;
    bench.steering.refuseInMongo(token);
    bench.steering.on('postgres.undo', token, () => {
      if (isHeld) throw new Error('held by the test');
    });
    const handle = await bench.world.twinwrite.submit(bench.definition, { id: token, points: 1 });
    await eventually(
      async () => (await bench.state(token)) === 'undoing' || undefined,
      'the update is being undone',
    );
    await forget(handle.workflowId);
    await assertReused(token);
    expect(await bench.state(token)).toBe('undoing');
    isHeld = false;
    const outcome = await execute(token);
    expect(outcome).toMatchObject({ status: 'compensated', reason: { code: 'RefusedByMongo' } });
    await assertAgreement(legOf(token), outcome);
  });
});
