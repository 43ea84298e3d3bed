/**
 * Goal: what Temporal stores of an error says what to do, quotes no row, and ends a workflow only
 * for what its caller has to mend. Method: one error of each kind.
 */
import { describe, expect, test } from '@jest/globals';
import { ApplicationFailure } from '@temporalio/activity';
import { MongoServerError } from 'mongodb';
import { toApplicationFailure } from '../../src/activities/failures';
import { TwinwriteError } from '../../src/domain/errors';

const databaseError = (code: string) =>
  Object.assign(new Error('Key (email)=(a@b.c) exists'), { code, severity: 'ERROR' });

describe('a failure that Temporal stores', () => {
  test('of a store names the code and its meaning, and nothing of a row', () => {
    const failure = toApplicationFailure(databaseError('55P03'));
    expect(failure).toMatchObject({ type: 'Postgres', nonRetryable: false });
    expect(failure.message).toBe(
      'PostgreSQL answered SQLSTATE 55P03: a lock was not available in time',
    );
    const mongo = new MongoServerError({ message: 'dup key: { email: "a@b.c" }', code: 112 });
    expect(toApplicationFailure(mongo).message).not.toContain('a@b.c');
  });

  test.each(['42P01', '42501', '3F000'])('SQLSTATE %s waits for a deploy, slowly', (code) => {
    expect(toApplicationFailure(databaseError(code)).nextRetryDelay).toBe('30 seconds');
    expect(toApplicationFailure(databaseError('40P01')).nextRetryDelay).toBeUndefined();
  });

  test('of a bug keeps its message and its stack', () => {
    const bug = new TypeError('x is not a function');
    const failure = toApplicationFailure(bug);
    expect(failure).toMatchObject({ message: bug.message, type: 'TypeError', nonRetryable: false });
    expect(failure.stack).toBe(bug.stack);
  });

  test('that a callback calls non-retryable is retried all the same', () => {
    const thrown = ApplicationFailure.nonRetryable('my own');
    expect(toApplicationFailure(thrown).nonRetryable).toBe(false);
  });

  test('ends the workflow only for what the caller has to mend', () => {
    const identity = { definition: 'd', token: 't' };
    expect(toApplicationFailure(new TwinwriteError('TokenReused', identity)).nonRetryable).toBe(
      true,
    );
    const parked = new TwinwriteError('Parked', { ...identity, reason: 'code 121' });
    expect(toApplicationFailure(parked)).toMatchObject({
      nonRetryable: false,
      nextRetryDelay: '30 seconds',
    });
  });
});
