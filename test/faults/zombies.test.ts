/**
 * Goal: an attempt that Temporal has given up has no effect when it wakes up (clause 8, H1).
 * Method: a worker process is frozen with SIGSTOP at one point of a leg, for longer than the leg's
 * timeout; another worker finishes or compensates; then the first is thawed, and does what it was
 * about to do. Where no callback stands, the request is held in the network meanwhile.
 */
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import type { Outcome } from 'twinwrite';
import {
  type Counted,
  countedProjection,
  countedTransaction,
  effectsOf,
  type Point,
  prepareEffects,
} from '../support/counted-definitions';
import { eventually } from '../support/eventually';
import { type FaultyStores, openFaultyStores, outcomeOf } from '../support/faulty-stores';
import { type StoppingWorker, startStoppingWorker } from '../support/stopping-worker';
import { openWorld, type World } from '../support/world';

// Long enough for all of a form's updates to stand still before the first of them is given up.
const legTimeoutMillis = 10_000;
const OUTLIVED_MILLIS = legTimeoutMillis + 5_000;

const projection = countedProjection({ legTimeoutMillis });
const transaction = countedTransaction({ legTimeoutMillis });

const NOTHING = { applied: 0, undone: 0 };
const APPLIED = { applied: 1, undone: 0 };
const UNDONE = { applied: 1, undone: 1 };

interface Case {
  readonly where: string;
  readonly definition: Counted;
  /** The point at which a callback stops, and the how many-th time it is reached. */
  readonly stop?: `${Point}#${number}`;
  /** Or a request that the network holds, by its transcript; `ID` stands for the update's. */
  readonly hold?: { readonly postgres: string } | { readonly mongo: string };
  readonly refusedBy?: 'mongo';
  readonly isCancelled?: boolean;
  readonly ends: 'applied' | 'refused' | 'compensated';
  readonly mongo?: typeof NOTHING;
}

const BEFORE_CLAIM = 'input parsed#1';
const BEFORE_MONGO = 'input parsed#2';
const POSTGRES_COMMIT = { postgres: 'twinwrite\\.claim_or_wait\\(.*ID.*; commit$' };
const SETTLING = { postgres: 'twinwrite\\.settle\\(.*ID.*; commit$' };

const CASES: readonly Case[] = [
  ...[projection, transaction].flatMap((definition): Case[] => [
    { where: 'before its claim', definition, stop: BEFORE_CLAIM, ends: 'applied' },
    {
      where: 'before its claim',
      definition,
      stop: BEFORE_CLAIM,
      isCancelled: true,
      ends: 'refused',
    },
    { where: 'inside apply', definition, stop: 'inside apply#1', ends: 'applied' },
    {
      where: 'inside apply',
      definition,
      stop: 'inside apply#1',
      isCancelled: true,
      ends: 'refused',
    },
    { where: 'with its COMMIT under way', definition, hold: POSTGRES_COMMIT, ends: 'applied' },
    { where: 'before the Mongo leg', definition, stop: BEFORE_MONGO, ends: 'applied' },
    {
      where: 'before the Mongo leg',
      definition,
      stop: BEFORE_MONGO,
      isCancelled: true,
      ends: 'compensated',
      mongo: definition.form === 'projection' ? UNDONE : NOTHING,
    },
    {
      where: 'inside undo',
      definition,
      stop: 'inside undo#1',
      refusedBy: 'mongo',
      ends: 'compensated',
      mongo: definition.form === 'projection' ? UNDONE : NOTHING,
    },
    { where: 'settling', definition, hold: SETTLING, ends: 'applied' },
  ]),
  {
    where: 'with an image under way',
    definition: projection,
    hold: { mongo: '^update projected .*ID' },
    isCancelled: true,
    ends: 'compensated',
    mongo: UNDONE,
  },
  {
    where: 'inside the Mongo transaction',
    definition: transaction,
    stop: 'mongo: written#1',
    ends: 'applied',
  },
  {
    where: 'inside the Mongo transaction',
    definition: transaction,
    stop: 'mongo: claimed#1',
    isCancelled: true,
    ends: 'compensated',
    mongo: NOTHING,
  },
  {
    where: 'with its Mongo commit under way',
    definition: transaction,
    hold: { mongo: 'ID.*; commitTransaction 1$' },
    ends: 'applied',
  },
];

describe('a worker frozen', () => {
  let world: World;
  let stores: FaultyStores;
  let frozen: StoppingWorker;

  beforeAll(async () => {
    world = await openWorld();
    await prepareEffects(world);
    stores = await openFaultyStores(world);
    // The first worker of a process bundles the workflows, for seconds: the second is there at once.
    await (await world.startWorker({ updates: [projection, transaction] })).stop();
    frozen = await startStoppingWorker(world, {
      postgresUrl: stores.postgresProxy.url,
      mongoUri: stores.mongoProxy.uri,
      legTimeoutMillis,
    });
    await frozen.ready();
  });

  afterAll(async () => {
    await frozen.close();
    await stores.release();
    await stores.close();
    await world.close();
  });

  const standStill = async ({ definition, stop, hold, refusedBy }: Case) => {
    const id = `${stop ?? 'held'}#${randomUUID()}`;
    const met = hold === undefined ? undefined : planOf(hold, id);
    const input = { id, ...(refusedBy === undefined ? {} : { refusedBy }) };
    const handle = await world.twinwrite.submit(definition, input);
    if (met === undefined) await frozen.stopped(id);
    else await eventually(() => met.times === 1, 'the request is under way');
    return { id, handle };
  };

  const planOf = (hold: NonNullable<Case['hold']>, id: string) => {
    const isPostgres = 'postgres' in hold;
    const proxy = isPostgres ? stores.postgresProxy : stores.mongoProxy;
    const transcript = isPostgres ? hold.postgres : hold.mongo;
    const request = new RegExp(transcript.replace('ID', id));
    return proxy.plan({ request, fault: 'hold before delivery' });
  };

  describe.each([projection, transaction])('in the $form form', ({ form }) => {
    const cases = CASES.filter(({ definition }) => definition.form === form);
    const found = new Map<Case, { id: string; outcome: Outcome; effects: unknown }>();

    beforeAll(async () => {
      const standing = await Promise.all(cases.map(standStill));
      frozen.freeze();
      for (const [index, { isCancelled }] of cases.entries()) {
        if (isCancelled === true) await standing[index]?.handle.cancel();
      }
      const other = await world.startWorker({ updates: [projection, transaction] });
      await Promise.all(
        cases.map(async (one, index) => {
          const { id, handle } = standing[index] ?? missing();
          const outcome = await outcomeOf(handle, OUTLIVED_MILLIS);
          found.set(one, { id, outcome, effects: await effectsOf(world, one.definition, id) });
        }),
      );
      frozen.thaw();
      stores.postgresProxy.release();
      stores.mongoProxy.release();
      await Promise.all(standing.map(async ({ id }) => await frozen.attemptEnded(id)));
      await other.stop();
    });

    test.each(cases)('clause 8: $where; it ends $ends, and stays so', async (one) => {
      const { id, outcome, effects } = found.get(one) ?? missing();
      expect(outcome).toMatchObject({ status: one.ends });
      const usual = { applied: APPLIED, refused: NOTHING, compensated: UNDONE }[one.ends];
      const expected = { postgres: usual, mongo: one.mongo ?? usual };
      expect(effects).toEqual(expected);
      expect(await effectsOf(world, one.definition, id)).toEqual(expected);
    });
  });
});

function missing(): never {
  throw new Error('the case did not get so far');
}
