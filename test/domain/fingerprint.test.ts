/**
 * Goal: two inputs have one fingerprint exactly when they are the same JSON. Method: random JSON,
 * reordered and changed.
 */
import { createHash } from 'node:crypto';
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { fingerprintOf } from '../../src/domain/fingerprint';
import type { Json } from '../../src/domain/json';

describe('the fingerprint', () => {
  test('is known, so that no release changes it by accident', () => {
    const digest = createHash('sha256').update('{"a":null,"b":[1,"é"]}').digest('base64url');
    expect(digest).toBe('-PF_qrlcAkiR0XP6Q0QrDlIAdzah82cVrHIasi3u78U');
    expect(fingerprintOf({ b: [1, 'é'], a: null })).toBe(`1:${digest}`);
  });

  test('does not depend on the order of keys', () => {
    fc.assert(
      fc.property(fc.dictionary(fc.string(), fc.jsonValue()), (value) => {
        const reversed = Object.fromEntries(Object.entries(value).toReversed());
        expect(fingerprintOf(reversed)).toBe(fingerprintOf(value));
      }),
    );
  });

  test('does not depend on the order of keys that have a meaning elsewhere either', () => {
    const names = ['toJSON', 'toString', 'length', 'constructor'];
    const value = Object.fromEntries(names.map((name) => [name, 'x']));
    const reversed = Object.fromEntries(names.toReversed().map((name) => [name, 'x']));
    expect(fingerprintOf({ b: 1, ...value, a: 2 })).toBe(
      fingerprintOf({ a: 2, ...reversed, b: 1 }),
    );
  });

  test('does not tell an absent field from one that is undefined, since JSON does not', () => {
    expect(fingerprintOf({ a: 1, b: undefined })).toBe(fingerprintOf({ a: 1 }));
  });

  test('depends on everything else', () => {
    const different: Json[] = [
      1,
      '1',
      null,
      [],
      {},
      [1],
      ['1'],
      { a: 1 },
      { a: '1' },
      { a: null },
      [[1]],
      'null',
    ];
    expect(new Set(different.map(fingerprintOf)).size).toBe(different.length);
  });
});
