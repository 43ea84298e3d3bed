/**
 * Goal: clause 7 where the queue does not go straight on: an update that is cancelled, refused,
 * compensated, parked or terminated passes its turn on at the right moment, or not at all. Method:
 * real workflows on lines that the test holds until everybody has joined; the next in turn notes
 * what both stores show when its own leg runs.
 */
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import type { UpdateHandle } from 'twinwrite';
import type { AnyCrossStoreUpdate } from '../../src/domain/definition';
import { eventually } from '../support/eventually';
import type { RunningWorker } from '../support/world';
import { Gates } from './gates';
import { defineLines, type Hooks, LISTED } from './lines';
import { LinesWorld, type Lists, UNWELCOME } from './lines-world';

const REFUSED = 'refused';
const BUGGY = 'buggy';
const UNDEPLOYED = 'undeployed';

interface Queued {
  readonly id: string;
  readonly handle: UpdateHandle;
}

describe('leaving the queue', () => {
  const gates = new Gates();
  /** What both stores showed when a leg began, by its token. */
  const seen = new Map<string, Lists>();
  const observed = new Map<string, () => Promise<Lists>>();
  const hooks: Hooks = {
    ...gates.hooks,
    postgres: async (id, refuse) => {
      const look = observed.get(id);
      if (look !== undefined) seen.set(id, await look());
      if (id.startsWith(REFUSED)) refuse('by the test');
      if (id.startsWith(BUGGY)) throw new Error('a bug of the test');
      await gates.hooks.postgres?.(id, refuse);
    },
    mongo: async (id, { db, session }) => {
      if (!id.startsWith(UNDEPLOYED)) return;
      // MongoDB takes no such stage in a transaction: only a deploy mends it.
      await db
        .collection(LISTED)
        .aggregate([{ $out: 'copies' }], { session })
        .toArray();
    },
  };
  const kinds = defineLines({ hooks });
  const { transaction, projection } = kinds;
  let lines: LinesWorld;
  let worker: RunningWorker;

  beforeAll(async () => {
    lines = await LinesWorld.open();
    worker = await lines.world.startWorker({
      updates: Object.values(kinds),
      postgres: lines.pool,
    });
  });

  afterAll(async () => {
    gates.openAll();
    await worker.stop();
    await lines.close();
  });

  /** A line that is held, and updates that wait for it, in this order. */
  const queueUp = async <const Names extends readonly string[]>(
    definition: AnyCrossStoreUpdate,
    names: Names,
  ) => {
    const line = await lines.openLine();
    const entity = `line:${line}`;
    const hold = await lines.hold(entity);
    const updates: Queued[] = [];
    for (const [index, name] of names.entries()) {
      const id = `${name}-${randomUUID()}`;
      const handle = await lines.world.twinwrite.submit(definition, { id, lines: [line] });
      observed.set(id, () => lines.listsOf(line, definition.form));
      await lines.queued(entity, index + 1);
      updates.push({ id, handle });
    }
    return { line, entity, hold, updates: updates as { [Name in keyof Names]: Queued } };
  };

  const outcomesOf = async (updates: readonly Queued[]) =>
    await Promise.all(updates.map(({ handle }) => handle.outcome()));

  /** Waits until somebody waits for the lock that an open Postgres leg has on the entity. */
  const somebodyWaitsForTheLock = async () => {
    await eventually(async () => {
      const { rowCount } = await lines.world.postgres.query(
        `select from pg_locks l join pg_stat_activity a using (pid)
          where a.datname = current_database() and not l.granted`,
      );
      return rowCount === 0 ? undefined : true;
    }, 'the test waits for the lock');
  };

  test.each([transaction, projection])(
    'clause 5: a waiter that is cancelled leaves the queue, and nobody waits for it ($name)',
    async (definition) => {
      const queue = await queueUp(definition, ['first', 'cancelled', 'last']);
      const [first, cancelled, last] = queue.updates;
      await cancelled.handle.cancel();
      expect(await cancelled.handle.outcome()).toMatchObject({
        status: 'refused',
        reason: { code: 'Cancelled' },
      });
      expect(await lines.queueOf(queue.entity)).toEqual([first.id, last.id]);
      await queue.hold.release();
      expect(await outcomesOf([first, last])).toMatchObject([APPLIED, APPLIED]);
      expect(await lines.listsOf(queue.line, definition.form)).toEqual(both(first.id, last.id));
    },
  );

  test('clause 6: a waiter that is refused in its leg passes its turn on', async () => {
    const queue = await queueUp(transaction, ['first', REFUSED, 'last']);
    await queue.hold.release();
    const refused = { status: 'refused', reason: { code: 'RefusedByDefinition' } };
    expect(await outcomesOf(queue.updates)).toMatchObject([APPLIED, refused, APPLIED]);
    const [first, , last] = queue.updates;
    expect(await lines.listsOf(queue.line, 'transaction')).toEqual(both(first.id, last.id));
    expect(seen.get(last.id)).toEqual(both(first.id));
  });

  test.each([transaction, projection])(
    'clause 5: a holder that MongoDB refuses passes its turn on once it is undone ($name)',
    async (definition) => {
      const queue = await queueUp(definition, ['first', UNWELCOME, 'last']);
      const [first, unwelcome, last] = queue.updates;
      const gate = gates.close('undo', unwelcome.id);
      await queue.hold.release();
      await gate.reached();
      expect(await lines.queueOf(queue.entity)).toEqual([last.id]);
      expect(seen.has(last.id)).toBe(false);
      gate.open();
      const compensated = { status: 'compensated', reason: { code: 'RefusedByMongo' } };
      expect(await outcomesOf(queue.updates)).toMatchObject([APPLIED, compensated, APPLIED]);
      expect(seen.get(last.id)).toEqual(both(first.id));
      expect(await lines.listsOf(queue.line, definition.form)).toEqual(both(first.id, last.id));
    },
  );

  test.each([transaction, projection])(
    'clause 5: a holder that is cancelled with both legs applied passes its turn on once both are undone ($name)',
    async (definition) => {
      const queue = await queueUp(definition, ['cancelled', 'last', 'newest']);
      const [cancelled, last, newest] = queue.updates;
      const gate = gates.close('postgres', cancelled.id);
      await queue.hold.release();
      await gate.reached();
      const locked = lines.lock(queue.entity);
      await somebodyWaitsForTheLock();
      gate.open();
      const unlock = await locked;
      await eventually(async () => {
        const { mongo } = await lines.listsOf(queue.line, definition.form);
        return mongo.includes(cancelled.id) ? true : undefined;
      }, 'MongoDB has what cannot be settled');
      await cancelled.handle.cancel();
      await lines.reached(cancelled.id, 'undoing');
      expect(await lines.queueOf(queue.entity)).toEqual([last.id, newest.id]);
      await unlock();
      const compensated = { status: 'compensated', reason: { code: 'Cancelled' } };
      expect(await outcomesOf(queue.updates)).toMatchObject([compensated, APPLIED, APPLIED]);
      expect(seen.get(last.id)).toEqual(both());
      expect(await lines.listsOf(queue.line, definition.form)).toEqual(both(last.id, newest.id));
    },
  );

  test('clause 7, F31: whoever is parked keeps its turn or its hold, until it is cancelled', async () => {
    const waiting = await queueUp(transaction, [BUGGY, 'last']);
    const holding = await queueUp(transaction, [UNDEPLOYED, 'last']);
    for (const { hold } of [waiting, holding]) await hold.release();
    for (const queue of [waiting, holding]) {
      const [parked, last] = queue.updates;
      await lines.reached(parked.id, 'parked');
      expect(await lines.queueOf(queue.entity)).toContain(last.id);
      expect(await lines.stateOf(last.id)).toBe('queued');
    }
    await waiting.updates[0].handle.cancel();
    await holding.updates[0].handle.cancel();
    const reason = { code: 'Cancelled' };
    expect(await outcomesOf(waiting.updates)).toMatchObject([
      { status: 'refused', reason },
      APPLIED,
    ]);
    expect(await outcomesOf(holding.updates)).toMatchObject([
      { status: 'compensated', reason },
      APPLIED,
    ]);
    for (const { line, updates } of [waiting, holding]) {
      expect(await lines.listsOf(line, 'transaction')).toEqual(both(updates[1].id));
    }
  });

  test('clause 9: a terminated waiter keeps its place, and the janitor takes its turn', async () => {
    const queue = await queueUp(transaction, ['first', 'terminated', 'last']);
    const [first, terminated, last] = queue.updates;
    await lines.world.temporal.workflow.getHandle(terminated.handle.workflowId).terminate();
    await queue.hold.release();
    expect(await outcomesOf([first, last])).toMatchObject([APPLIED, APPLIED]);
    const again = await lines.world.twinwrite.execute(transaction, {
      id: terminated.id,
      lines: [queue.line],
    });
    expect(again).toMatchObject(APPLIED);
    const order = both(first.id, terminated.id, last.id);
    expect(await lines.listsOf(queue.line, 'transaction')).toEqual(order);
  });
});

const APPLIED = { status: 'applied' };

function both(...tokens: string[]): Lists {
  return { postgres: tokens, mongo: tokens };
}
