/**
 * Goal: clause 7 for updates of several entities, each naming them in an order of its own: they
 * never deadlock, and no one of them is forgotten. Method: sixty updates at once, over every pair
 * of three lines in both orders and in both forms; the worker's log is searched for what PostgreSQL
 * says of deadlocks.
 */
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import type { RunningWorker } from '../support/world';
import { recordAttempts } from './attempts';
import { defineLines } from './lines';
import { LinesWorld } from './lines-world';

/** A deadlock, or a lock not had in time: the two time-outs are equally long, either may be first. */
const DEADLOCK = new Set(['40P01', '55P03']);

describe('updates of several entities', () => {
  const { transaction, projection } = defineLines();
  const { logger, attempts } = recordAttempts();
  let lines: LinesWorld;
  let worker: RunningWorker;

  beforeAll(async () => {
    lines = await LinesWorld.open();
    worker = await lines.world.startWorker({
      updates: [transaction, projection],
      postgres: lines.pool,
      logger,
    });
  });

  afterAll(async () => {
    await worker.stop();
    await lines.close();
  });

  test('clause 7, F16: in any order of entities there is no deadlock, and all are settled', async () => {
    const [a, b, c] = [await lines.openLine(), await lines.openLine(), await lines.openLine()];
    const pairs = [
      [a, b],
      [b, a],
      [b, c],
      [c, b],
      [c, a],
      [a, c],
    ];
    const visits = Array.from({ length: 60 }, (_, index) => ({
      definition: index % 4 < 2 ? transaction : projection,
      visit: { id: randomUUID(), lines: pairs[index % pairs.length] ?? [] },
    }));
    const outcomes = await Promise.all(
      visits.map(({ definition, visit }) => lines.world.twinwrite.execute(definition, visit)),
    );
    expect(outcomes.filter(({ status }) => status !== 'applied')).toEqual([]);
    expect(attempts.filter(({ err }) => DEADLOCK.has(err?.code ?? ''))).toEqual([]);
    const listed = new Set<string>(
      visits.filter(({ definition }) => definition === transaction).map(({ visit }) => visit.id),
    );
    for (const line of [a, b, c]) {
      const visitors = visits.filter(({ visit }) => visit.lines.includes(line));
      const { postgres, mongo } = await lines.listsOf(line, 'transaction');
      expect([...postgres].sort()).toEqual(visitors.map(({ visit }) => visit.id).sort());
      expect(mongo).toEqual(postgres.filter((token) => listed.has(token)));
      expect((await lines.listsOf(line, 'projection')).mongo).toEqual(
        postgres.slice(0, postgres.findLastIndex((token) => !listed.has(token)) + 1),
      );
    }
    const left = await lines.world.postgres.query(
      `select key from twinwrite.entity where holder is not null or waiting <> 0
        union all select key from twinwrite.waiting`,
    );
    expect(left.rows).toEqual([]);
  });
});
