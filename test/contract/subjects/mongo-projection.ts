import { expect } from '@jest/globals';
import { driveForward } from '../../../src/workflows/protocol';
import { assertAgreement } from '../agreement';
import type { Bench } from '../bench';
import type { Subject, Substitute } from '../clause';
import { type Leg, MongoProjectionLeg } from '../leg';
import { Gate } from '../steering';
import { otherForm } from './other-form';

const ONCE = { applied: 1, undone: 0 };
const NOTHING = { applied: 0, undone: 0 };
const UNDONE = { applied: 1, undone: 1 };

const VERSION_IS_CLAIM =
  'a projection has no claim in MongoDB: its version is claim and fence, F40';
const NEVER_OPEN = 'an image is one write, which is never open and uncommitted';
const NO_CALLBACK = 'a projection has no callback in MongoDB: what refuses is the collection';
const NOT_RECORDED = 'a refusal by MongoDB is recorded in PostgreSQL, as the decision to undo';

interface CountDocument {
  _id: string;
  witness?: number;
  _tw: { version: number; live: boolean };
}

const documentsOf = ({ world, definition }: Bench) =>
  world.mongo.db().collection<CountDocument>(definition.name);

async function documentOf(leg: Leg): Promise<CountDocument | null> {
  return await documentsOf(leg.bench).findOne({ _id: leg.token });
}

/** Holds the first image that is read from now on, with what Postgres had then. */
function holdImage(leg: Leg): Gate {
  const gate = new Gate();
  const before = leg.runs('image');
  leg.bench.steering.on('image', leg.token, async ({ run }) => {
    if (run === before + 1) await gate.pass();
  });
  return gate;
}

const lateImage: Substitute = {
  since: NEVER_OPEN,
  says: 'an image read before the undo and written after it meets a later version',
  check: async (leg, bench) => {
    const gate = holdImage(leg);
    const late = leg.apply();
    await gate.arrived;
    expect(await leg.inWorker(bench.worker()).takeBack()).toMatchObject({ applied: false });
    const tombstone = await documentOf(leg);
    gate.open();
    expect(await late).toMatchObject({ applied: false });
    expect(await documentOf(leg)).toStrictEqual(tombstone);
    expect(tombstone).toMatchObject({ _tw: { live: false } });
  },
};

/** Whoever has another payload writes the newest image, as anybody may, and settles nothing. */
async function assertReused(leg: Leg): Promise<void> {
  const state = await leg.bench.state(leg.token);
  const other = leg.withInput({ points: 2 });
  const reused = { type: 'TokenReused', nonRetryable: true };
  await expect(other.fence()).rejects.toMatchObject(reused);
  await expect(other.apply()).rejects.toMatchObject(reused);
  expect(await leg.bench.state(leg.token)).toBe(state);
}

const reused = (what: string, check: Substitute['check']): Substitute => ({
  since: VERSION_IS_CLAIM,
  says: `another payload finds the document ${what}: it settles nothing and is TokenReused`,
  check,
});

const refusedForGood: Substitute = {
  since: NOT_RECORDED,
  says: 'what MongoDB refused once stays compensated, even if it would be let in now',
  check: async (leg, { steering }) => {
    steering.refuseInMongo(leg.token);
    const outcome = await driveForward(leg.steps);
    expect(outcome).toMatchObject({ status: 'compensated', reason: { code: 'RefusedByMongo' } });
    steering.letIn(leg.token);
    expect(await driveForward(leg.steps)).toStrictEqual(outcome);
    expect(await leg.apply()).toMatchObject({ applied: false });
    await assertAgreement(leg, outcome);
  },
};

const refused: Substitute = {
  since: NO_CALLBACK,
  says: 'an image that the validator refuses leaves the document as it was',
  check: async (leg, { steering }) => {
    steering.refuseInMongo(leg.token);
    const reason = { code: 'RefusedByMongo', constraint: leg.bench.definition.name };
    expect(await leg.apply()).toMatchObject({ applied: false, reason });
    expect(await leg.effects()).toEqual(NOTHING);
    expect(await documentOf(leg)).toBeNull();
  },
};

export const mongoProjection: Subject = {
  store: 'MongoDB',
  form: 'projection',
  leg: (...parameters) => new MongoProjectionLeg(...parameters),
  instead: {
    'a duplicate gets the recorded answer and runs nothing': {
      since: VERSION_IS_CLAIM,
      says: 'a duplicate finds its version there and writes nothing',
      check: async (leg, bench) => {
        const first = await leg.apply();
        // Writing the image again would replace the whole document, and this with it.
        await documentsOf(bench).updateOne({ _id: leg.token }, { $set: { witness: 1 } });
        expect(await leg.apply()).toStrictEqual(first);
        expect(await documentOf(leg)).toMatchObject({ witness: 1 });
        expect(await leg.effects()).toEqual(ONCE);
      },
    },
    'fifty duplicates of an open leg leave the pool to the others': {
      since: NEVER_OPEN,
      says: 'fifty drivers at once and one of another token are all applied, and the pool is free',
      check: async (leg) => {
        const drivers = Array.from({ length: 50 }, () => driveForward(leg.steps));
        const other = await driveForward(leg.fresh().steps);
        const outcomes = await Promise.all(drivers);
        expect(other).toMatchObject({ status: 'applied' });
        expect(new Set(outcomes.map((outcome) => JSON.stringify(outcome))).size).toBe(1);
        const { waitingCount, idleCount, totalCount } = leg.worker.postgres;
        expect({ waitingCount, busy: totalCount - idleCount }).toEqual({
          waitingCount: 0,
          busy: 0,
        });
        expect(await leg.effects()).toEqual(ONCE);
      },
    },
    'undone before it was applied, it never runs': {
      since: VERSION_IS_CLAIM,
      says: 'undone before it was written, it gets a tombstone that no earlier image passes',
      check: async (leg) => {
        expect(await leg.takeBack()).toMatchObject({ applied: false });
        const tombstone = await documentOf(leg);
        expect(tombstone).toMatchObject({ _tw: { live: false } });
        expect(await leg.apply()).toMatchObject({ applied: false });
        expect(await documentOf(leg)).toStrictEqual(tombstone);
        expect(await leg.effects()).toEqual(UNDONE);
      },
    },
    'applied late, after the undo, it is refused for ever': lateImage,
    'undone while it is open and uncommitted, it ends undone as a whole': {
      since: NEVER_OPEN,
      says: 'undone while its image is being written, it ends as a tombstone',
      check: async (leg, bench) => {
        const elsewhere = leg.inWorker(bench.worker());
        const writing = Array.from({ length: 5 }, () => leg.apply());
        await Promise.all([...writing, elsewhere.takeBack()]);
        expect(await documentOf(leg)).toMatchObject({ _tw: { live: false } });
        expect(await leg.effects()).toEqual(UNDONE);
      },
    },
    'a fence waits a second for an open leg, and is then retried': lateImage,
    'a leg that dies while a fence waits for it never was': {
      since: NEVER_OPEN,
      says: 'an attempt that dies with an old image in hand leaves the tombstone alone',
      check: async (leg, bench) => {
        const gate = holdImage(leg);
        const dying = leg.apply();
        await gate.arrived;
        await bench.world.postgres.query(
          `select pg_terminate_backend(pid) from pg_stat_activity
            where datname = current_database() and state = 'idle in transaction'`,
        );
        await leg.inWorker(bench.worker()).takeBack();
        gate.open();
        expect(await dying).toMatchObject({ applied: false });
        expect(await documentOf(leg)).toMatchObject({ _tw: { live: false } });
      },
    },
    'what the callback refuses is rolled back': refused,
    'a recorded refusal is answered to an attempt that would succeed': refusedForGood,
    'a refusal that comes after another attempt was applied answers as that one': {
      since: NOT_RECORDED,
      says: 'one driver refused, another let in after it: both end with the one decision',
      check: async (leg, bench) => {
        bench.steering.refuseInMongo(leg.token);
        const refusedSteps = leg.inWorker(bench.worker());
        const gate = new Gate();
        refusedSteps.watch.answered = async (step) => {
          if (step === 'applyMongo' && leg.runs('image') === 2) await gate.pass();
        };
        const driver = driveForward(refusedSteps.steps);
        await gate.arrived;
        bench.steering.letIn(leg.token);
        const letIn = driveForward(leg.steps);
        gate.open();
        const outcome = await letIn;
        expect(await driver).toStrictEqual(outcome);
        await assertAgreement(leg, outcome);
      },
    },
    'a constraint that fails at COMMIT is a refusal': refused,
    'what is too large to record is refused, and rolled back': {
      since: 'MongoDB records no result; what it may not hold is a document',
      says: 'an image too large to hold is refused in PostgreSQL, before its COMMIT',
      check: async (leg, { steering }) => {
        const fresh = leg.fresh();
        steering.on('image', fresh.token, () => ({ blob: 'x'.repeat(16 * 1024 * 1024) }));
        const outcome = await driveForward(fresh.steps);
        expect(outcome).toMatchObject({ status: 'refused', reason: { code: 'RefusedByMongo' } });
        await assertAgreement(fresh, outcome);
      },
    },
    'another payload finds the leg open and is TokenReused': reused(
      'not yet there',
      async (leg) => {
        const gate = holdImage(leg);
        const applying = leg.apply();
        await gate.arrived;
        await assertReused(leg);
        gate.open();
        expect(await applying).toMatchObject({ applied: true });
        expect(await leg.effects()).toEqual(ONCE);
      },
    ),
    'another payload finds the leg applied and is TokenReused': reused('there', async (leg) => {
      const rightful = await leg.apply();
      await assertReused(leg);
      expect(await leg.apply()).toStrictEqual(rightful);
      expect(await leg.effects()).toEqual(ONCE);
    }),
    'another payload finds the leg fenced and is TokenReused': reused('fenced', async (leg) => {
      await leg.takeBack();
      await assertReused(leg);
      expect(await leg.effects()).toEqual(UNDONE);
    }),
    'another payload finds the leg undone and is TokenReused': reused('undone', async (leg) => {
      await leg.apply();
      await leg.takeBack();
      await assertReused(leg);
      expect(await leg.effects()).toEqual(UNDONE);
    }),
    'another payload finds the leg refused and is TokenReused': reused(
      'refused',
      async (leg, bench) => {
        await refusedForGood.check(leg, bench);
        await assertReused(leg);
        expect(await leg.effects()).toEqual(UNDONE);
      },
    ),
    'what was recorded with the claim stands after a deploy changed the definition': otherForm,
  },
};
