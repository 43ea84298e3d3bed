import { Decimal128, Long, ObjectId } from 'mongodb';
import { JSON_LIMITS } from '../../src/domain/json';

/**
 * The values that JSON, PostgreSQL or MongoDB would change, refuse or run (hazards H16 and H17),
 * and their harmless neighbours. Each is refused with a path and a reason, before anything is
 * written, or is the same in Temporal's history, in both stores and in the result.
 */
export interface Hazard {
  readonly name: string;
  /** As a program has it. Absent where only JSON text can say it. */
  readonly value?: unknown;
  /** As JSON text has it. Absent where none can say it. */
  readonly text?: string;
  /** Why it is refused, and where; without it, it is carried. */
  readonly refused?: Refused;
  /** What is carried, where a value and what JSON means by it are two objects. */
  readonly carried?: unknown;
}

interface Refused {
  /** Below the value; undefined for the input as a whole. */
  readonly path: string | undefined;
  readonly reason: RegExp;
  /** By the workflow itself, which could not hand it on to an activity. */
  readonly byWorkflow?: true;
}

/** Refused alike, whether a program or a text says it. */
function refused(name: string, value: unknown, path: string | undefined, reason: RegExp): Hazard {
  return { name, value, text: JSON.stringify(value), refused: { path, reason } };
}

/** Refused alike as well, but a text already by the workflow. */
function byWorkflow(
  name: string,
  value: unknown,
  path: string | undefined,
  reason: RegExp,
): Hazard {
  const row = refused(name, value, path, reason);
  return { ...row, refused: { path, reason, byWorkflow: true } };
}

/** No JSON can say it: a program alone can ask for it. */
function unsayable(name: string, value: unknown, path: string | undefined, reason: RegExp): Hazard {
  return { name, value, refused: { path, reason } };
}

/** Only the text has it: what is decoded is refused. */
function refusedText(name: string, text: string, path: string, reason: RegExp): Hazard {
  return { name, text, refused: { path, reason } };
}

function carried(name: string, value: unknown): Hazard {
  return { name, value, text: JSON.stringify(value), carried: value };
}

/** Built by a parser, as an attacker's request would be: the key is the object's own. */
function parsed(text: string): unknown {
  return JSON.parse(text);
}

const nested = (levels: number, inner: unknown): unknown =>
  levels === 0 ? inner : { down: nested(levels - 1, inner) };
const downPath = (levels: number) => Array.from({ length: levels }, () => 'down').join('.');

class Money {
  constructor(readonly cents: string) {}
}

function circle(): unknown {
  const value: Record<string, unknown> = {};
  value['self'] = { again: value };
  return value;
}

/** The same list in the same list, again and again: small in memory, without end as JSON. */
function multiplied(levels: number): unknown {
  let value: unknown = [1];
  for (let level = 0; level < levels; level += 1) value = [value, value];
  return value;
}

const withSymbol = { a: 1, [Symbol('hidden')]: 2 };
const withFurtherProperty = Object.assign([1, 2], { index: 0 });
const inheritingToJson = Object.create({ toJSON: () => 'another' }) as unknown;
const hiddenToJson = Object.create(
  Object.assign(Object.create(null), { toJSON: () => 'another' }),
) as unknown;
const frozenDate = new Date('2026-01-02T03:04:05.678Z');

const VALUES_WITHOUT_JSON: readonly Hazard[] = [
  unsayable('undefined', undefined, '', /undefined/),
  unsayable('undefined in an array', [1, undefined], '[1]', /is undefined/),
  // oxlint-disable-next-line no-sparse-arrays -- the hole is the hazard.
  unsayable('a hole in an array', [1, , 3], '[1]', /is undefined/),
  unsayable(
    'an array of holes without end',
    Object.assign([], { length: 4e9 }),
    '[0]',
    /is undefined/,
  ),
  unsayable('NaN', Number.NaN, '', /is NaN/),
  unsayable('Infinity', { a: [Number.POSITIVE_INFINITY] }, 'a[0]', /is Infinity/),
  unsayable('-Infinity', Number.NEGATIVE_INFINITY, '', /is -Infinity/),
  unsayable('a bigint', { cents: 10n }, 'cents', /is a bigint/),
  unsayable('a bigint beyond 64 bits', 2n ** 70n, '', /is a bigint/),
  unsayable('a function', { a: () => 1 }, 'a', /is a function/),
  unsayable('a toJSON of its own', { toJSON: () => 'another' }, 'toJSON', /is a function/),
  unsayable('a toJSON that is inherited', inheritingToJson, '', /is a/),
  unsayable('a toJSON behind no prototype', hiddenToJson, '', /is a class instance/),
  unsayable('a symbol', Symbol('s'), '', /is a symbol/),
  unsayable('a symbol as a key', { a: withSymbol }, 'a', /has a symbol as a key/),
  unsayable('an array with further properties', withFurtherProperty, '', /further properties/),
  unsayable('a Date', { at: frozenDate }, 'at', /is a Date/),
  unsayable('an invalid Date', new Date(Number.NaN), '', /is a Date/),
  unsayable('a Buffer', { photo: Buffer.from('x') }, 'photo', /is a Buffer/),
  unsayable('a Uint8Array', new Uint8Array(2), '', /is a Uint8Array/),
  unsayable('a Map', new Map([['a', 1]]), '', /is a Map/),
  unsayable('a Set', { tags: new Set(['a']) }, 'tags', /is a Set/),
  unsayable('a RegExp', /a+/, '', /is a RegExp/),
  unsayable('an Error', new Error('e'), '', /is a Error/),
  unsayable('a Promise', Promise.resolve(1), '', /is a Promise/),
  unsayable('a class instance', { price: new Money('1') }, 'price', /is a Money/),
  unsayable('a boxed string', Object('text'), '', /is a String/),
  unsayable('an ObjectId', { id: new ObjectId() }, 'id', /is a ObjectId/),
  unsayable('a Decimal128', Decimal128.fromString('1.5'), '', /is a Decimal128/),
  unsayable('a Long', Long.fromNumber(7), '', /is a Long/),
  unsayable('a circle', circle(), 'self.again', /contains itself/),
  unsayable('an object many times in itself', multiplied(30), undefined, /more than \d+ items/),
];

const NUMBERS: readonly Hazard[] = [
  { ...byWorkflow('-0', -0, '', /is -0/), text: '-0' },
  refused('2^53', 2 ** 53, '', /send it as a string/),
  refused('-(2^53)', [-(2 ** 53)], '[0]', /send it as a string/),
  refused('an exponent beyond 2^53', { a: 1e21 }, 'a', /send it as a string/),
  refusedText('2^53 + 1, which would be decoded to its neighbour', '9007199254740993', '', /2\^53/),
  refusedText('a number that only looks safe', '9007199254740992.5', '', /2\^53/),
  refusedText('twenty digits', '{"cents": 12345678901234567890}', 'cents', /2\^53/),
  {
    name: 'an exponent beyond every double, which JSON would turn into null',
    text: '[1e400]',
    refused: { path: '[0]', reason: /Infinity/, byWorkflow: true },
  },
  carried('the greatest safe integers', [2 ** 53 - 1, 1 - 2 ** 53]),
  carried('integers beyond 32 bits', { a: 2 ** 31, b: -(2 ** 31) - 1, c: 2 ** 40 }),
  carried('fractions', [0.1, 0.1 + 0.2, 1.5, -2.75, 1e-7, 5e-324, 123_456.789_012_3]),
  { name: 'exponents of safe integers', text: '[1e3, 25e-1, 1.0]', carried: [1_000, 2.5, 1] },
  carried('money and 64-bit integers as strings', ['9223372036854775807', '0.10']),
];

const STRINGS: readonly Hazard[] = [
  refused('U+0000', 'a\u0000b', '', /U\+0000/),
  refused('U+0000 in a list', { names: ['a', '\u0000'] }, 'names[1]', /U\+0000/),
  refused('half a surrogate pair', '\ud83d', '', /surrogate/),
  refused('the other half', { a: 'x\ude00' }, 'a', /surrogate/),
  carried('astral characters', '😀 𝒳 👩‍👩‍👧'),
  carried('a composed and a decomposed é, which stay two', ['\u00e9', 'e\u0301']),
  carried('case and spaces, which count', ['a', 'A', 'a ', ' a', '', ' ', '\t\r\n']),
  carried('characters that look like nothing', '\u200b\u2028\u2029\ufeff\u0001\u007f\u00a0'),
  carried('U+FFFD itself', '\ufffd\uffff'),
  carried('SQL', "'); drop table carried; --"),
  carried('a JSON text', '{"$ne": null}'),
  carried('words with a meaning in MongoDB', ['$where', '$$ROOT', '$set', 'sleep(1000)']),
  carried('a long string', 'é'.repeat(100_000)),
];

const KEYS: readonly Hazard[] = [
  refused('{"$ne": null}', { $ne: null }, '$ne', /begins with "\$"/),
  refused('{"$where": …}', { $where: 'sleep(1000)' }, '$where', /begins with "\$"/),
  refused('{"$set": …}', { a: { $set: { admin: true } } }, 'a.$set', /begins with "\$"/),
  refused('{"$function": …}', [{ $function: { body: '' } }], '[0].$function', /begins with "\$"/),
  refused('an extended JSON type', { $oid: '0'.repeat(24) }, '$oid', /begins with "\$"/),
  refused('a key that is a path', { 'a.b': 1 }, 'a.b', /contains "\."/),
  refused('an empty key', { a: { '': 1 } }, 'a.', /empty key/),
  refused('U+0000 in a key', { 'a\u0000': 1 }, 'a\u0000', /U\+0000/),
  refused('half a surrogate pair in a key', { '\ud800': 1 }, '\ufffd', /surrogate/),
  refused('__proto__', parsed('{"__proto__": {"polluted": true}}'), '__proto__', /reserved/),
  refused('__proto__ below', parsed('[{"a": {"__proto__": null}}]'), '[0].a.__proto__', /reserved/),
  refused(
    'constructor',
    { constructor: { prototype: { polluted: true } } },
    'constructor',
    /reserved/,
  ),
  refused('prototype', { a: { prototype: 1 } }, 'a.prototype', /reserved/),
  refused('_bsontype', { _bsontype: 'ObjectId', id: 'x' }, '_bsontype', /reserved/),
  refused('_bsontype of code', { a: { _bsontype: 'Code', code: '1' } }, 'a._bsontype', /reserved/),
  refused(
    'a long wrong key',
    { [`$${'k'.repeat(150_000)}`]: 1 },
    `$${'k'.repeat(150_000)}`,
    /"\$"/,
  ),
  {
    name: 'the same key twice: the last one counts, for everybody',
    text: '{"a": 1, "b": 2, "a": 3}',
    carried: { a: 3, b: 2 },
  },
  carried('names of methods', { toString: 1, valueOf: 2, hasOwnProperty: 3, length: 4 }),
  carried('a name that await asks for', parsed('{"then": 1}')),
  carried('names that drivers ask for', {
    toJSON: 'x',
    toBSON: 'y',
    toPostgres: 'z',
    rawJSON: '1',
  }),
  carried('a dollar inside, a space, an accent', { a$b: 1, 'a b': 2, é: 3, _id: 4, _tw: 5 }),
  carried('numbers as keys', { 10: 'a', 9: 'b', '-1': 'c', '01': 'd' }),
];

const SHAPES: readonly Hazard[] = [
  byWorkflow('33 levels', nested(31, {}), downPath(31), /deeper than 32/),
  byWorkflow('more than 256 KiB', 'x'.repeat(JSON_LIMITS.maxBytes), undefined, /bytes as JSON/),
  refused(
    'more than 10,000 keys',
    Object.fromEntries(Array.from({ length: 10_001 }, (_, index) => [`k${index}`, 1])),
    undefined,
    /more than 10000 keys/,
  ),
  carried('32 levels', nested(31, 'bottom')),
  carried('9,000 keys', Object.fromEntries(Array.from({ length: 9_000 }, (_, n) => [`k${n}`, n]))),
  carried('empty things', [{}, [], null, false, [[]], [{}]]),
  carried('a list for a json column', [1, 'two', { three: [4] }]),
  carried('null itself', null),
  {
    name: 'undefined in an object, which is absent',
    value: { a: undefined, b: [{ c: undefined }] },
    carried: { b: [{}] },
  },
  {
    name: 'an object without a prototype',
    value: Object.assign(Object.create(null), { a: 1 }),
    carried: { a: 1 },
  },
  { name: 'a Proxy, as what it shows', value: new Proxy({ a: [1] }, {}), carried: { a: [1] } },
  { name: 'one object in two places', value: twice({ a: 1 }), carried: [{ a: 1 }, { a: 1 }] },
];

function twice(value: unknown): unknown {
  return [value, value];
}

export const HAZARDS: readonly Hazard[] = [
  ...VALUES_WITHOUT_JSON,
  ...NUMBERS,
  ...STRINGS,
  ...KEYS,
  ...SHAPES,
];

/** Where an issue stands in an input that has the value as its field `value`. */
export function inputPath(path: string | undefined): string {
  if (path === undefined) return '';
  if (path === '') return 'value';
  const whole = path.startsWith('[') ? `value${path}` : `value.${path}`;
  return whole.length > 300 ? `${whole.slice(0, 299)}…` : whole;
}
