/**
 * Goal: duplicates in one process share an attempt, and no longer than it may take (F25). Method:
 * attempts that end when the test says so.
 */
import { describe, expect, test } from '@jest/globals';
import { InFlight } from '../../src/activities/in-flight';

const LONG_MILLIS = 60_000;

describe('attempts in flight', () => {
  test('are joined by their duplicates, whether they succeed or fail', async () => {
    const inFlight = new InFlight();
    const gate = withResolvers<number>();
    let runs = 0;
    const attempt = () => {
      runs += 1;
      return gate.promise;
    };
    const duplicates = Array.from({ length: 50 }, () => inFlight.share('k', LONG_MILLIS, attempt));
    gate.resolve(7);
    expect(new Set(await Promise.all(duplicates))).toEqual(new Set([7]));
    expect(runs).toBe(1);
    const failing = () => Promise.reject(new Error('no'));
    const failed = [
      inFlight.share('k', LONG_MILLIS, failing),
      inFlight.share('k', LONG_MILLIS, failing),
    ];
    expect((await Promise.allSettled(failed)).map(({ status }) => status)).toEqual([
      'rejected',
      'rejected',
    ]);
  });

  test('are not joined once they have ended, nor under another key', async () => {
    const inFlight = new InFlight();
    let runs = 0;
    const attempt = async () => ++runs;
    expect(await inFlight.share('k', LONG_MILLIS, attempt)).toBe(1);
    expect(await inFlight.share('k', LONG_MILLIS, attempt)).toBe(2);
    const both = [
      inFlight.share('k', LONG_MILLIS, attempt),
      inFlight.share('l', LONG_MILLIS, attempt),
    ];
    expect(await Promise.all(both)).toEqual([3, 4]);
  });

  test('that outlived their time hold no retry up, and take no later one with them', async () => {
    const inFlight = new InFlight();
    const stuck = withResolvers<string>();
    const first = inFlight.share('k', 0, () => stuck.promise);
    const second = withResolvers<string>();
    const retry = inFlight.share('k', 0, () => second.promise);
    stuck.resolve('late');
    expect(await first).toBe('late');
    const joined = inFlight.share('k', LONG_MILLIS, async () => 'a third');
    second.resolve('in time');
    expect(await Promise.all([retry, joined])).toEqual(['in time', 'in time']);
  });
});

function withResolvers<Value>() {
  let resolve: (value: Value) => void = () => {};
  const promise = new Promise<Value>((settle) => {
    resolve = settle;
  });
  return { promise, resolve };
}
