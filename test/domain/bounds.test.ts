/**
 * Goal: an attempt that Temporal has given up on ends soon (clause 8, F34). Method: the bounds that
 * derive from a leg's time, added up as a leg spends them.
 */
import { describe, expect, test } from '@jest/globals';
import {
  CLAIM_WAIT_MILLIS,
  MAX_LEG_TIMEOUT_MILLIS,
  MIN_LEG_TIMEOUT_MILLIS,
  shareMillis,
  statementTimeoutMillis,
} from '../../src/domain/bounds';

describe.each([MIN_LEG_TIMEOUT_MILLIS, 4_000, MAX_LEG_TIMEOUT_MILLIS])(
  'a leg of %d ms',
  (legTimeoutMillis) => {
    const share = (name: Parameters<typeof shareMillis>[0]) => shareMillis(name, legTimeoutMillis);

    test('clause 8, F34: its parts end before Temporal gives up on the whole', () => {
      expect(share('postgres')).toBeLessThan(legTimeoutMillis);
      expect(share('precheck') + share('afterPrecheck')).toBeLessThan(legTimeoutMillis);
      expect(share('image') + share('mongo') + share('settle')).toBeLessThan(legTimeoutMillis);
    });

    test('clause 8: the server ends a statement before we end its connection', () => {
      for (const part of [share('postgres'), share('precheck'), share('image'), share('settle')]) {
        expect(statementTimeoutMillis(part)).toBeLessThan(part);
      }
    });
  },
);

test('clause 3: a duplicate waits a second at most', () => {
  expect(CLAIM_WAIT_MILLIS).toBeLessThanOrEqual(1_000);
});
