/**
 * SQL's values as the model holds them, and its operators. A bigint is a BigInt, an int a number, a
 * point in time an `Instant`; null is null. Comparisons know SQL's third answer.
 */

export class Instant {
  constructor(readonly millis: number) {}
  valueOf(): number {
    return this.millis;
  }
  toJSON(): string {
    return String(this.millis);
  }
}

class Interval {
  constructor(readonly millis: number) {}
  valueOf(): number {
    return this.millis;
  }
}

export type Value = unknown;
export type Tuple = Readonly<Record<string, Value>>;

const UNITS: Readonly<Record<string, number>> = {
  millisecond: 1,
  second: 1_000,
  minute: 60_000,
  hour: 3_600_000,
  day: 86_400_000,
};

export function intervalOf(text: string): Interval {
  const [, amount = '', unit = ''] = /^(\d+) ([a-z]+?)s?$/.exec(text) ?? [];
  const millis = UNITS[unit];
  if (millis === undefined) throw new Error(`the model knows no interval like '${text}'`);
  return new Interval(Number(amount) * millis);
}

function instantOf(value: unknown): Instant {
  if (value instanceof Instant) return value;
  if (value instanceof Date) return new Instant(value.getTime());
  if (value === 'infinity') return new Instant(Infinity);
  throw new Error(`the model knows no time like ${JSON.stringify(value)}`);
}

/** Makes a value one of the type, as an assignment or a cast does. */
export function coerce(value: Value, type: string): Value {
  if (value === null || value === undefined) return null;
  if (type.endsWith('[]')) {
    const items = value === '{}' ? [] : value;
    if (!Array.isArray(items))
      throw new Error(`the model knows no array like ${JSON.stringify(value)}`);
    const of = type.slice(0, -2);
    return of === 'text' ? items : items.map((item) => coerce(item, of));
  }
  switch (type) {
    case 'bigint':
      return typeof value === 'bigint' ? value : BigInt(value as number | string);
    case 'int':
    case 'numeric':
      return typeof value === 'number' ? value : Number(value);
    case 'text':
      return typeof value === 'string' ? value : textOf(value);
    case 'boolean':
      return typeof value === 'string' ? value === 'true' || value === 't' : value;
    case 'timestamptz':
      return instantOf(value);
    case 'interval':
      return value instanceof Interval ? value : intervalOf(value as string);
    default:
      return value;
  }
}

function textOf(value: unknown): string {
  if (typeof value === 'bigint' || typeof value === 'number' || typeof value === 'boolean') {
    return String(value);
  }
  return JSON.stringify(value);
}

type Numeric = number | bigint;

function arithmetic(
  a: Value,
  b: Value,
  onNumbers: (a: number, b: number) => number,
  onBigInts: (a: bigint, b: bigint) => bigint,
): Value {
  if (a === null || b === null) return null;
  if (a instanceof Instant && b instanceof Instant) {
    return new Interval(onNumbers(Number(a), Number(b)));
  }
  if (a instanceof Instant || b instanceof Instant) {
    return new Instant(onNumbers(Number(a), Number(b)));
  }
  if (a instanceof Interval || b instanceof Interval) {
    return new Interval(onNumbers(Number(a), Number(b)));
  }
  if (typeof a === 'number' && typeof b === 'number') return onNumbers(a, b);
  return onBigInts(BigInt(a as Numeric), BigInt(b as Numeric));
}

export const add = (a: Value, b: Value): Value =>
  arithmetic(
    a,
    b,
    (x, y) => x + y,
    (x, y) => x + y,
  );
export const subtract = (a: Value, b: Value): Value =>
  arithmetic(
    a,
    b,
    (x, y) => x - y,
    (x, y) => x - y,
  );
export const multiply = (a: Value, b: Value): Value =>
  arithmetic(
    a,
    b,
    (x, y) => x * y,
    (x, y) => x * y,
  );
export const power = (a: Value, b: Value): Value =>
  a === null || b === null ? null : Number(a) ** Number(b);

/** What a function of numbers makes of a number; of null, null. */
export const onPresent = (value: Value, make: (number: number) => number): Value =>
  value === null ? null : make(Number(value));

/** `||`: of arrays, or of texts. */
export function concatenate(a: Value, b: Value): Value {
  if (Array.isArray(a) || Array.isArray(b)) {
    if (a === null) return b;
    if (b === null) return a;
    return [a, b].flat();
  }
  return a === null || b === null ? null : textOfAny(a) + textOfAny(b);
}

const textOfAny = (value: Value): string => coerce(value, 'text') as string;

/** Below, the same, above; for sorting as well, where nulls come last. */
export function compare(a: Value, b: Value): number {
  if (a === b) return 0;
  if (a === null) return 1;
  if (b === null) return -1;
  const [x, y] = [a as number, b as number];
  if (x < y) return -1;
  return x > y ? 1 : 0;
}

export function equals(a: Value, b: Value): boolean | null {
  if (a === null || b === null) return null;
  if (a === b) return true;
  if (Array.isArray(a) && Array.isArray(b)) {
    return a.length === b.length && a.every((item, index) => equals(item, b[index]) === true);
  }
  if (typeof a === 'string' || typeof b === 'string') return false;
  return compare(a, b) === 0;
}

const ordered =
  (holds: (order: number) => boolean) =>
  (a: Value, b: Value): boolean | null =>
    a === null || b === null ? null : holds(compare(a, b));
export const below = ordered((order) => order < 0);
export const atMost = ordered((order) => order <= 0);
export const above = ordered((order) => order > 0);
export const atLeast = ordered((order) => order >= 0);
export const differs = (a: Value, b: Value): boolean | null => not(equals(a, b));
export const isDistinct = (a: Value, b: Value): boolean =>
  a === null || b === null ? a !== b : equals(a, b) !== true;

export const not = (a: Value): boolean | null => (a === null ? null : a !== true);

export function and(a: Value, b: Value): Value {
  if (a === false || b === false) return false;
  return a === null || b === null ? null : true;
}

export function or(a: Value, b: Value): Value {
  if (a === true || b === true) return true;
  return a === null || b === null ? null : false;
}

/** `x = any(items)`. */
export function isAny(value: Value, items: Value): boolean | null {
  if (items === null) return null;
  let isUnknown = false;
  for (const item of items as Value[]) {
    const same = equals(value, item);
    if (same === true) return true;
    if (same === null) isUnknown = true;
  }
  return isUnknown ? null : false;
}

export function least(values: readonly Value[]): Value {
  const present = values.filter((value) => value !== null);
  return present.length === 0 ? null : present.reduce((a, b) => (compare(a, b) <= 0 ? a : b));
}

export function greatest(values: readonly Value[]): Value {
  const present = values.filter((value) => value !== null);
  return present.length === 0 ? null : present.reduce((a, b) => (compare(a, b) >= 0 ? a : b));
}

/** Tells two tuples apart, as DISTINCT, GROUP BY and a unique index do. */
export function keyOf(values: readonly Value[]): string {
  const [first, second] = values;
  if (values.length === 1 && typeof first === 'string') return first;
  if (values.length === 1 && typeof first === 'bigint') return first.toString();
  if (values.length === 2 && typeof first === 'string' && typeof second === 'string') {
    return `${first}\u0000${second}`;
  }
  return JSON.stringify(values, (_, value: unknown) =>
    typeof value === 'bigint' ? `${value}n` : value,
  );
}

export const aggregates = {
  count: (values: readonly Value[]): Value => BigInt(values.length),
  sum: (values: readonly Value[]): Value => (values.length === 0 ? null : values.reduce(add)),
  min: least,
  max: greatest,
  array_agg: (values: readonly Value[]): Value => (values.length === 0 ? null : [...values]),
  bool_and: (values: readonly Value[]): Value =>
    values.length === 0 ? null : values.every((value) => value === true),
  bool_or: (values: readonly Value[]): Value =>
    values.length === 0 ? null : values.includes(true),
};

export type AggregateName = keyof typeof aggregates;
