/**
 * Goal: whatever code MongoDB answers a commit or a write with, nothing is concluded from it, and
 * nothing happens twice (clause 4). Method: fail points of a real server, each for the clients of
 * one name, so that every case has a worker of its own.
 */
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { MongoClient } from 'mongodb';
import {
  type Counted,
  countedProjection,
  countedTransaction,
  effectsOf,
  prepareEffects,
} from '../support/counted-definitions';
import { whileFailing } from '../support/fail-point';
import { assertNothingOpen, outcomeOnceOver } from '../support/faulty-stores';
import { openWorld, type World } from '../support/world';

const legTimeoutMillis = 3_000;
const projection = countedProjection({ legTimeoutMillis });
const transaction = countedTransaction({ legTimeoutMillis });

const ONCE = { applied: 1, undone: 0 };

interface Case {
  readonly what: string;
  readonly definition: Counted;
  readonly command: 'commitTransaction' | 'insert' | 'update' | 'findAndModify';
  readonly fails: Record<string, unknown>;
  readonly times: number;
  readonly refusedBy?: 'mongo';
}

const UNKNOWN_RESULT = { errorLabels: ['UnknownTransactionCommitResult'] };
const WRITE_CONCERN_FAILED = {
  writeConcernError: { code: 64, codeName: 'WriteConcernFailed', errmsg: 'by the test' },
};

interface CommitFails {
  readonly what: string;
  readonly fails: Record<string, unknown>;
}

const COMMIT_FAILS: readonly CommitFails[] = [
  { what: 'the connection is closed', fails: { closeConnection: true } },
  { what: '91, shutting down', fails: { errorCode: 91 } },
  { what: '91, result unknown', fails: { errorCode: 91, ...UNKNOWN_RESULT } },
  { what: '50, out of time', fails: { errorCode: 50 } },
  { what: '50, result unknown', fails: { errorCode: 50, ...UNKNOWN_RESULT } },
  { what: '251, no such transaction', fails: { errorCode: 251 } },
  { what: '251, result unknown', fails: { errorCode: 251, ...UNKNOWN_RESULT } },
  { what: 'a code that is a refusal elsewhere', fails: { errorCode: 121 } },
  { what: '64, applied and not yet on a majority', fails: WRITE_CONCERN_FAILED },
];

const CASES: readonly Case[] = [
  ...COMMIT_FAILS.flatMap(({ what, fails }) =>
    [1, 10].map(
      (times): Case => ({
        what,
        definition: transaction,
        command: 'commitTransaction',
        fails,
        times,
      }),
    ),
  ),
  ...[{ closeConnection: true }, { errorCode: 91 }, { errorCode: 50 }].flatMap((fails) => [
    {
      what: JSON.stringify(fails),
      definition: projection,
      command: 'update',
      fails,
      times: 2,
    } as const,
    {
      what: JSON.stringify(fails),
      definition: transaction,
      command: 'insert',
      fails,
      times: 2,
    } as const,
    {
      what: JSON.stringify(fails),
      definition: transaction,
      command: 'findAndModify',
      fails,
      times: 2,
      refusedBy: 'mongo',
    } as const,
  ]),
];

describe('a fail point of MongoDB', () => {
  let world: World;
  let mongo: MongoClient;
  let stop: () => Promise<void>;

  beforeAll(async () => {
    world = await openWorld();
    await prepareEffects(world);
    mongo = new MongoClient(world.mongoUri, {
      appName: `${world.name}_failing`,
      // After a 91 the driver waits for the server's next sign of life. One that really shuts down
      // gives it at once; a fail point gives none, and the driver would wait for ten seconds.
      heartbeatFrequencyMS: 500,
    });
    const worker = await world.startWorker({ updates: [projection, transaction], mongo });
    stop = worker.stop;
  });

  afterAll(async () => {
    await stop();
    await assertNothingOpen(world, world.postgres);
    await mongo.close();
    await world.close();
  });

  test.each(CASES)('clause 4: $command: $what, $times times', async (one) => {
    const { definition, command, fails, times, refusedBy } = one;
    const id = randomUUID();
    const { result: outcome, failed } = await whileFailing(
      world,
      `${world.name}_failing`,
      { failCommands: [command], times, fails },
      async (isOver) => {
        const input = { id, ...(refusedBy === undefined ? {} : { refusedBy }) };
        return await outcomeOnceOver(isOver, await world.twinwrite.submit(definition, input));
      },
    );
    expect(failed).toBeGreaterThan(0);
    const effects = await effectsOf(world, definition, id);
    if (refusedBy === undefined) {
      expect(outcome).toEqual({ status: 'applied', result: { id } });
      expect(effects).toEqual({ postgres: ONCE, mongo: ONCE });
    } else {
      expect(outcome).toMatchObject({ status: 'compensated' });
      expect(effects).toEqual({
        postgres: { applied: 1, undone: 1 },
        mongo: { applied: 0, undone: 0 },
      });
    }
  });
});
