/**
 * Goal: what Temporal stores of an error says what to do, quotes no row, and ends a workflow only
 * for what its caller has to mend. Method: one error of each kind.
 */
import { describe, expect, test } from '@jest/globals';
import { ApplicationFailure } from '@temporalio/activity';
import { MongoServerError } from 'mongodb';
import { runCallback } from '../../src/activities/callback-fault';
import { toApplicationFailure } from '../../src/activities/failures';
import { TwinwriteError } from '../../src/domain/errors';

const databaseError = (code: string) =>
  Object.assign(new Error('Key (email)=(a@b.c) exists'), { code, severity: 'ERROR' });

describe('a failure that Temporal stores', () => {
  test('of a store names the code and its meaning, and nothing of a row', () => {
    const failure = toApplicationFailure(databaseError('55P03'), 1);
    expect(failure).toMatchObject({ type: 'Postgres', nonRetryable: false });
    expect(failure.message).toBe(
      'PostgreSQL answered SQLSTATE 55P03: a lock was not available in time',
    );
    const mongo = new MongoServerError({ message: 'dup key: { email: "a@b.c" }', code: 112 });
    expect(toApplicationFailure(mongo, 1).message).not.toContain('a@b.c');
  });

  test.each(['42P01', '42501', '3F000', '23514'])(
    'SQLSTATE %s parks the update once it has failed six times',
    (code) => {
      expect(toApplicationFailure(databaseError(code), 5).nonRetryable).toBe(false);
      expect(toApplicationFailure(databaseError(code), 6).nonRetryable).toBe(true);
    },
  );

  test.each(['40P01', '57P01', '53300', '55P03'])('SQLSTATE %s is waited out', (code) => {
    expect(toApplicationFailure(databaseError(code), 10_000).nonRetryable).toBe(false);
  });

  test('of a callback parks, and of a connection that broke does not', async () => {
    const bug = new TypeError('x is not a function');
    const broken = new Error('Connection terminated unexpectedly');
    const isOfStore = (error: unknown) => error === broken;
    for (const error of [bug, broken]) {
      await runCallback(() => Promise.reject(error), isOfStore).catch(() => {});
    }
    expect(toApplicationFailure(bug, 5).nonRetryable).toBe(false);
    expect(toApplicationFailure(bug, 6).nonRetryable).toBe(true);
    expect(toApplicationFailure(broken, 6).nonRetryable).toBe(false);
  });

  test('of a bug keeps its message and its stack', () => {
    const bug = new TypeError('x is not a function');
    const failure = toApplicationFailure(bug, 1);
    expect(failure).toMatchObject({ message: bug.message, type: 'TypeError', nonRetryable: false });
    expect(failure.stack).toBe(bug.stack);
  });

  test('that a callback calls non-retryable is retried all the same', () => {
    const thrown = ApplicationFailure.nonRetryable('my own');
    expect(toApplicationFailure(thrown, 1).nonRetryable).toBe(false);
  });

  test('ends the workflow only for what the caller has to mend', () => {
    const identity = { definition: 'd', token: 't' };
    expect(toApplicationFailure(new TwinwriteError('TokenReused', identity), 1).nonRetryable).toBe(
      true,
    );
  });

  test.each([
    new TwinwriteError('Parked', { definition: 'd', token: 't', reason: 'code 121' }),
    new TwinwriteError('NotAdopted', { collection: 'c', id: '1' }),
    new TwinwriteError('MongoAhead', { collection: 'c', id: '1' }),
  ])('that no retry will mend soon parks at once: $code', (error) => {
    expect(toApplicationFailure(error, 1)).toMatchObject({ nonRetryable: true, type: error.code });
  });

  test('of stopped stores is waited out: no update is parked or ended for it', () => {
    const stopped = { store: 'MongoDB', ticks: 30, since: '2026-01-01T00:00:00.000Z' } as const;
    const error = new TwinwriteError('StoresStopped', stopped);
    expect(toApplicationFailure(error, 10_000)).toMatchObject({
      nonRetryable: false,
      type: 'StoresStopped',
      details: [stopped],
    });
  });
});
