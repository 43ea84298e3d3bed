/**
 * Goal: what one of the stores or JSON would change is refused before anything is written (clause
 * 2). Method: a table of values, each with its path and reason.
 */
import { createContext, runInContext } from 'node:vm';
import { describe, expect, test } from '@jest/globals';
import { inspectJson, JSON_LIMITS } from '../../src/domain/json';

const nested = (depth: number): unknown => (depth === 0 ? 1 : { down: nested(depth - 1) });

describe('plain JSON for both stores', () => {
  test.each<[string, unknown, string, RegExp]>([
    ['undefined', undefined, '', /is undefined/],
    ['an item that is undefined', [undefined, 1], '[0]', /is undefined/],
    ['a bigint', { a: 1n }, 'a', /is a bigint/],
    ['a function', { a: () => 1 }, 'a', /is a function/],
    ['a symbol', { a: Symbol('s') }, 'a', /is a symbol/],
    ['NaN', { a: [1, Number.NaN] }, 'a[1]', /NaN/],
    ['Infinity', Number.POSITIVE_INFINITY, '', /Infinity/],
    ['-0', { a: -0 }, 'a', /-0/],
    ['an integer beyond 2^53', { a: 2 ** 53 }, 'a', /as a string/],
    ['U+0000 in a string', { a: 'x\u0000' }, 'a', /U\+0000/],
    ['half a surrogate pair', { a: { b: '\ud800' } }, 'a.b', /surrogate/],
    ['a key with a dollar', { a: { $gt: 1 } }, 'a.$gt', /begins with "\$"/],
    ['a key with a dot', { 'a.b': 1 }, 'a.b', /contains "\."/],
    ['an empty key', { '': 1 }, '', /empty key/],
    ['__proto__', JSON.parse('{"__proto__": {"polluted": true}}'), '__proto__', /reserved/],
    ['constructor', { constructor: 1 }, 'constructor', /reserved/],
    ['_bsontype', { _bsontype: 'ObjectId' }, '_bsontype', /reserved/],
    ['a Date', { at: new Date(0) }, 'at', /is a Date/],
    ['a Map', { a: new Map() }, 'a', /is a Map/],
    ['a Buffer', { a: Buffer.from('x') }, 'a', /is a Buffer/],
    ['33 levels', nested(33), expect.anything() as unknown as string, /deeper than 32/],
    ['more than 256 KiB', { a: 'x'.repeat(JSON_LIMITS.maxBytes) }, '', /bytes as JSON/],
  ])('%s is refused', (_name, value, path, reason) => {
    const [issue] = inspectJson(value).issues;
    expect(issue?.path).toEqual(path);
    expect(issue?.reason).toMatch(reason);
  });

  test('a circle is refused, the same object twice is not', () => {
    const circle: Record<string, unknown> = {};
    circle['self'] = circle;
    expect(inspectJson(circle).issues[0]).toEqual({ path: 'self', reason: 'contains itself' });
    const shared = { a: 1 };
    expect(inspectJson({ x: shared, y: shared }).issues).toEqual([]);
  });

  test('plain values pass, also those of another realm and without a prototype', () => {
    const values = [
      null,
      true,
      'é 😀',
      1.5,
      -3,
      [],
      {},
      { a: undefined, b: [null, { c: '' }] },
      nested(31),
    ];
    for (const value of values) expect(inspectJson(value).issues).toEqual([]);
    expect(inspectJson(runInContext('({ a: [1] })', createContext())).issues).toEqual([]);
    expect(inspectJson(Object.assign(Object.create(null), { a: 1 })).issues).toEqual([]);
  });

  test('what is answered is a copy, without what JSON leaves out', () => {
    const value = { a: [{ b: 'x', c: undefined }] };
    const { json } = inspectJson(value);
    expect(json).toStrictEqual({ a: [{ b: 'x' }] });
    expect((json as typeof value).a).not.toBe(value.a);
  });

  test('what an issue says is short and well formed, however long a key is', () => {
    const [issue] = inspectJson({ [`$\ud800${'k'.repeat(100_000)}`]: 1 }).issues;
    expect(issue?.path).toHaveLength(300);
    expect(issue?.path.isWellFormed()).toBe(true);
  });

  test('at most ten issues are told', () => {
    expect(inspectJson(Array.from({ length: 50 }, () => Number.NaN)).issues).toHaveLength(10);
  });

  test('nothing is polluted on the way', () => {
    inspectJson(JSON.parse('{"__proto__": {"polluted": true}}'));
    expect(({} as { polluted?: boolean }).polluted).toBeUndefined();
  });
});
