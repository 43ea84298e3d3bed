/**
 * Goal: clause 5 and F8: whenever an update is cancelled, its outcome is what the ledger says, both
 * stores agree, and nothing that was written is called refused. Method: every shape of update,
 * cancelled at every boundary of the protocol; the boundaries are held by gates in the callbacks,
 * by locks in PostgreSQL, and by stopping the workers.
 */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import type { WorkflowFailedError } from '@temporalio/client';
import type { Outcome, UpdateHandle } from 'twinwrite';
import { eventually } from '../support/eventually';
import { openWorld, type RunningWorker, type World } from '../support/world';
import { expectAgreement } from './agreement';
import { APPLIED, type Expected, REFUSED, TAKEN_BACK } from './expected';
import { Gate, Occasion, Steering } from './steering';
import {
  type Kind,
  type Kinds,
  prepareTransfers,
  stateOf,
  TOO_MANY,
  transfer,
  transferKinds,
} from './transfers';

describe('an update that is cancelled', () => {
  let world: World;
  let worker: RunningWorker;
  const steering = new Steering();
  const kinds = transferKinds(steering);

  const start = async (taskQueue = world.name) =>
    await world.startWorker({ updates: Object.values(kinds), taskQueue });

  beforeAll(async () => {
    world = await openWorld();
    await prepareTransfers(world);
  });

  afterAll(async () => {
    await worker.stop();
    await world.close();
  });

  /** Runs one scenario for every shape at once, and compares what became of each. */
  const forEachKind = async (
    expected: Partial<Expected>,
    scenario: (kind: Kind, input: ReturnType<typeof transfer>) => Promise<UpdateHandle>,
    change: Parameters<typeof transfer>[0] = {},
  ): Promise<Outcome[]> => {
    const names = Object.keys(expected) as (keyof Kinds)[];
    return await Promise.all(
      names.map(async (name) => {
        const input = transfer(change);
        const handle = await scenario(kinds[name], input);
        const outcome = await handle.outcome({ timeoutMillis: 30_000 });
        expect({ name, status: outcome.status }).toEqual({ name, status: expected[name] });
        await expectAgreement(world, kinds[name], input, outcome.status);
        return outcome;
      }),
    );
  };

  /** Waits until each of them has come so far, so that one worker can be stopped under all. */
  const meeting = (size: number) => {
    const all = new Occasion();
    let arrived = 0;
    return async () => {
      arrived += 1;
      if (arrived === size) all.come();
      await all.came;
    };
  };

  test('before its first workflow task, it is refused, and its legs never run', async () => {
    const cancelled = meeting(5);
    let starting: Promise<RunningWorker> | undefined;
    await forEachKind(REFUSED, async (kind, input) => {
      const handle = await world.twinwrite.submit(kind, input);
      await handle.cancel();
      await cancelled();
      starting ??= start();
      worker = await starting;
      const outcome = await handle.outcome();
      expect(outcome).toMatchObject({ reason: { code: 'Cancelled' } });
      expect(steering.runs('apply', input.id)).toBe(0);
      return handle;
    });
  });

  test('clause 1: with a token that stands for another input, its caller is told so', async () => {
    const cancelled = meeting(5);
    let later: Promise<RunningWorker> | undefined;
    await Promise.all(
      Object.values(kinds).map(async (kind) => {
        const input = transfer();
        await world.twinwrite.execute(kind, input);
        // Temporal has forgotten the update, and nobody runs: the cancellation comes first.
        const workflowId = `forgotten/${input.id}`;
        const args = [{ definition: kind.name, token: input.id, input: { ...input, points: 6 } }];
        const options = { workflowId, taskQueue: `${world.name}-later`, args };
        const workflow = await world.temporal.workflow.start('crossStoreUpdate', options);
        await workflow.cancel();
        await cancelled();
        later ??= start(`${world.name}-later`);
        await later;
        const { cause } = await workflow.result().then(
          () => ({ cause: undefined }),
          (error: unknown) => error as WorkflowFailedError,
        );
        expect(cause).toMatchObject({ type: 'TokenReused' });
        await expectAgreement(world, kind, input, 'applied');
      }),
    );
    await (await later)?.stop();
  });

  test('clause 7: while it waits for its turn, it is refused, and those behind it go on', async () => {
    await forEachKind(REFUSED, async (kind, input) => {
      const holder = transfer({ account: `queue of ${input.account}` });
      const gate = steering.gate('mongo apply', holder.id);
      const hold = await world.twinwrite.submit(kinds.transaction, holder);
      await gate.reached();
      const queued = { ...input, account: holder.account };
      const behind = transfer({ account: holder.account });
      const handle = await world.twinwrite.submit(kind, queued);
      await becomes(queued.id, 'queued');
      const next = await world.twinwrite.submit(kind, behind);
      await becomes(behind.id, 'queued');
      await handle.cancel();
      expect(await handle.outcome()).toMatchObject({ reason: { code: 'Cancelled' } });
      expect(steering.runs('apply', queued.id)).toBe(0);
      gate.open();
      expect(await hold.outcome()).toMatchObject({ status: 'applied' });
      expect(await next.outcome()).toMatchObject({ status: 'applied' });
      return handle;
    });
  });

  test('in its Postgres leg, it is undone where there is a way back, and applied where there is none', async () => {
    await forEachKind(TAKEN_BACK, async (kind, input) => {
      const gate = steering.gate('apply', input.id);
      const handle = await world.twinwrite.submit(kind, input);
      await gate.reached();
      await handle.cancel();
      gate.open();
      return handle;
    });
  });

  test('in a Postgres leg that rolls back, it is refused: nothing was ever written', async () => {
    await forEachKind(REFUSED, async (kind, input) => {
      const gate = new Gate();
      steering.at('apply', input.id, async () => {
        await gate.hold();
        throw new Error('the leg fails after its write');
      });
      const handle = await world.twinwrite.submit(kind, input);
      await gate.reached();
      await handle.cancel();
      gate.open();
      return handle;
    });
  });

  test('F8: after Postgres has committed and before Mongo, history or not, it is undone or applied', async () => {
    const inTheirLegs = meeting(5);
    const cancelled = meeting(5);
    let stopping: Promise<void> | undefined;
    let starting: Promise<RunningWorker> | undefined;
    await forEachKind(TAKEN_BACK, async (kind, input) => {
      const gate = steering.gate('apply', input.id);
      const handle = await world.twinwrite.submit(kind, input);
      await gate.reached();
      await inTheirLegs();
      stopping ??= worker.stop();
      gate.open();
      await stopping;
      expect(await stateOf(world, input.id)).toBe('forward');
      await handle.cancel();
      await cancelled();
      starting ??= start();
      worker = await starting;
      return handle;
    });
  });

  test('in its Mongo leg, which ends and settles it, it is applied', async () => {
    await forEachKind(APPLIED, async (kind, input) => {
      // A projection reads its image in the Postgres leg, and again for MongoDB.
      const gate =
        kind.form === 'projection'
          ? steering.gate('image', input.id, 2)
          : steering.gate('mongo apply', input.id);
      const handle = await world.twinwrite.submit(kind, input);
      await gate.reached();
      await handle.cancel();
      gate.open();
      return handle;
    });
  });

  test('after Mongo has committed and before it is settled, what MongoDB cannot undo stays', async () => {
    const expected = { ...TAKEN_BACK, transactionHalf: 'applied' } as const;
    await forEachKind(expected, async (kind, input) => {
      const lock = await world.postgres.connect();
      try {
        const gate = steering.gate(
          kind.form === 'projection' ? 'image' : 'mongo apply',
          input.id,
          kind.form === 'projection' ? 2 : 1,
        );
        const handle = await world.twinwrite.submit(kind, input);
        await gate.reached();
        // Settling takes the holds' rows first, or the pending row of what holds nothing; a fence
        // takes neither the one nor, without a way back, the other.
        await lock.query('begin');
        await lock.query(
          kind.undoable
            ? `select from twinwrite.entity where key = 'account:' || $1 for update`
            : `select from twinwrite.pending where $1 = any(tokens) for update`,
          [input.id],
        );
        gate.open();
        await settlingWaits(input.id);
        await handle.cancel();
        if (kind.undoable) await isFenced(handle);
        await lock.query('rollback');
        return handle;
      } finally {
        lock.release(true);
      }
    });
  });

  test('during its undo, it is compensated for the reason that began the undo', async () => {
    const { projection, transaction, transactionHalf } = TAKEN_BACK;
    const outcomes = await forEachKind(
      { projection, transaction, transactionHalf },
      async (kind, input) => {
        const gate = steering.gate('undo', input.id);
        const handle = await world.twinwrite.submit(kind, input);
        await gate.reached();
        await handle.cancel();
        gate.open();
        return handle;
      },
      { points: TOO_MANY },
    );
    for (const outcome of outcomes)
      expect(outcome).toMatchObject({ reason: { code: 'RefusedByMongo' } });
  });

  test('after its outcome, nothing changes', async () => {
    await forEachKind(APPLIED, async (kind, input) => {
      const handle = await world.twinwrite.submit(kind, input);
      await handle.outcome();
      await handle.cancel();
      return handle;
    });
  });

  const becomes = async (id: string, state: string) =>
    await eventually(
      async () => ((await stateOf(world, id)) === state ? true : undefined),
      `${id} is ${state}`,
    );

  const isFenced = async (handle: UpdateHandle) =>
    await eventually(async () => {
      const { done } = await handle.progress();
      return done.some(({ leg }) => leg === 'fencePostgres') ? true : undefined;
    }, 'Postgres is fenced');

  const settlingWaits = async (id: string) =>
    await eventually(async () => {
      const { rowCount } = await world.postgres.query(
        `select from pg_stat_activity a
          where a.datname = current_database() and a.wait_event_type = 'Lock' and a.query like '%twinwrite.settle%'`,
      );
      const mongo = await world.mongo
        .db()
        .collection<{ _id: string }>('entries_tx')
        .findOne({ _id: id });
      const image = await world.mongo
        .db()
        .collection<{ _id: string }>('entries')
        .findOne({ _id: id });
      return (rowCount ?? 0) > 0 && (mongo ?? image) !== null ? true : undefined;
    }, 'its settling waits for a lock');
});
