import { expect } from '@jest/globals';
import { driveForward } from '../../../src/workflows/protocol';
import { assertAgreement } from '../agreement';
import type { Subject, Substitute } from '../clause';
import { MongoTransactionLeg } from '../leg';
import { Gate } from '../steering';
import { otherForm } from './other-form';

const NOTHING = { applied: 0, undone: 0 };
const NOT_RECORDED = 'a refusal by MongoDB is recorded in PostgreSQL, as the decision to undo';

const refusedForGood: Substitute = {
  since: NOT_RECORDED,
  says: 'what MongoDB refused once stays compensated, even if it would be let in now',
  check: async (leg, { steering }) => {
    steering.on(leg.applyPlace, leg.token, ({ run, refuse }) => {
      if (run === 1) refuse?.('by the test');
    });
    const outcome = await driveForward(leg.steps);
    expect(outcome).toMatchObject({ status: 'compensated', reason: { message: 'by the test' } });
    expect(await driveForward(leg.steps)).toStrictEqual(outcome);
    expect(await leg.apply()).toMatchObject({ applied: false });
    expect(leg.runs()).toBe(1);
    expect(await leg.effects()).toEqual(NOTHING);
  },
};

export const mongoTransaction: Subject = {
  store: 'MongoDB',
  form: 'transaction',
  leg: (...parameters) => new MongoTransactionLeg(...parameters),
  instead: {
    'a fence waits a second for an open leg, and is then retried': {
      since: 'MongoDB has no lock timeout for it: the deadline of the open leg bounds the wait',
      says: 'a fence waits for an open leg until its deadline, and then stands',
      check: async (leg, bench) => {
        const gate = new Gate();
        bench.steering.on(leg.applyPlace, leg.token, gate.pass);
        // One attempt only: a next one could claim again before the fence is there.
        const attempt = leg.inWorker(leg.worker);
        attempt.isRetried = false;
        const died = expect(attempt.apply()).rejects.toMatchObject({ type: 'MongoDeadlineError' });
        await gate.arrived;
        const takingBack = leg.inWorker(bench.worker()).takeBack();
        await leg.fenceWaits();
        expect(await takingBack).toMatchObject({ applied: false });
        await died;
        expect(await leg.apply()).toMatchObject({ applied: false });
        gate.open();
        expect(await leg.effects()).toEqual(NOTHING);
      },
    },
    'a recorded refusal is answered to an attempt that would succeed': refusedForGood,
    'a refusal that comes after another attempt was applied answers as that one': {
      since: NOT_RECORDED,
      says: 'one driver refused, another let in after it: both end with the one decision',
      check: async (leg, bench) => {
        const gate = new Gate();
        bench.steering.on(leg.applyPlace, leg.token, async ({ run, refuse }) => {
          if (run > 1) return;
          await gate.pass();
          refuse?.('by the test');
        });
        const refused = driveForward(leg.steps);
        await gate.arrived;
        const letIn = driveForward(leg.inWorker(bench.worker()).steps);
        gate.open();
        const outcome = await letIn;
        expect(await refused).toStrictEqual(outcome);
        await assertAgreement(leg, outcome);
      },
    },
    'a constraint that fails at COMMIT is a refusal': {
      since: 'MongoDB defers no constraint: a unique index answers at the write',
      says: 'a duplicate key of the data is a refusal, and not taken for the claim',
      check: async (leg, { steering, world, definition }) => {
        const effects = world.mongo.db().collection<{ _id: string }>(definition.name);
        await effects.insertOne({ _id: leg.token });
        steering.on(leg.applyPlace, leg.token, async ({ session }) => {
          await effects.insertOne({ _id: leg.token }, session === undefined ? {} : { session });
        });
        expect(await leg.apply()).toMatchObject({
          applied: false,
          reason: { code: 'RefusedByMongo', constraint: 'unique index on _id' },
        });
        expect(await leg.effects()).toEqual(NOTHING);
      },
    },
    'what is too large to record is refused, and rolled back': {
      since: 'MongoDB records no result; what it may not hold is a document',
      says: 'a document too large to hold is refused, and the leg rolled back',
      check: async (leg, { steering, world, definition }) => {
        const effects = world.mongo.db().collection(definition.name);
        const blob = 'x'.repeat(16 * 1024 * 1024 + 1);
        steering.on(leg.applyPlace, leg.token, async ({ session }) => {
          await effects.insertOne({ blob }, session === undefined ? {} : { session });
        });
        expect(await leg.apply()).toMatchObject({
          applied: false,
          reason: { code: 'RefusedByMongo' },
        });
        expect(await leg.effects()).toEqual(NOTHING);
      },
    },
    'another payload finds the leg refused and is TokenReused': {
      since: NOT_RECORDED,
      says: 'another payload finds the refused update compensated, and is TokenReused',
      check: async (leg, bench) => {
        await refusedForGood.check(leg, bench);
        const other = leg.withInput({ points: 2 });
        const reused = { type: 'TokenReused', nonRetryable: true };
        await expect(driveForward(other.steps)).rejects.toMatchObject(reused);
        await expect(other.fence()).rejects.toMatchObject(reused);
        expect(await leg.effects()).toEqual(NOTHING);
      },
    },
    'what was recorded with the claim stands after a deploy changed the definition': otherForm,
  },
};
