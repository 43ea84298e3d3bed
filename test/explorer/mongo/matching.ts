import { isDeepStrictEqual } from 'node:util';
import { Long, UUID } from 'mongodb';

export type Document = Readonly<Record<string, unknown>>;

/** The model knows the operators that production uses, and refuses any other. */
export function refuse(what: string): never {
  throw new Error(`the model of MongoDB knows no ${what}`);
}

export function matches(document: Document, filter: Document, now: Date): boolean {
  return Object.entries(filter).every(([path, condition]) => {
    if (path === '$and') {
      return (condition as Document[]).every((each) => matches(document, each, now));
    }
    if (path === '$or') {
      return (condition as Document[]).some((each) => matches(document, each, now));
    }
    if (path === '$expr') return compute(document, condition, now) === true;
    if (path.startsWith('$')) return refuse(`filter ${path}`);
    return meets(valueAt(document, path), condition);
  });
}

function meets(value: unknown, condition: unknown): boolean {
  if (!isOperators(condition)) return isSame(value, condition ?? null);
  return Object.entries(condition).every(([operator, operand]) => {
    switch (operator) {
      case '$eq':
        return isSame(value, operand);
      case '$ne':
        return !isSame(value, operand);
      case '$in':
        return (operand as unknown[]).some((each) => isSame(value, each));
      case '$not':
        return !meets(value, operand);
      case '$exists':
        return (value !== undefined) === operand;
      case '$type':
        return operand === 'number' ? isNumeric(value) : refuse(`$type ${String(operand)}`);
      case '$lt':
        return isComparable(value, operand) && order(value, operand) < 0;
      case '$lte':
        return isComparable(value, operand) && order(value, operand) <= 0;
      case '$gt':
        return isComparable(value, operand) && order(value, operand) > 0;
      case '$gte':
        return isComparable(value, operand) && order(value, operand) >= 0;
      default:
        return refuse(`operator ${operator}`);
    }
  });
}

function isOperators(condition: unknown): condition is Document {
  if (typeof condition !== 'object' || condition === null || Array.isArray(condition)) return false;
  return Object.keys(condition).some((key) => key.startsWith('$'));
}

const isNumeric = (value: unknown): value is number | Long =>
  typeof value === 'number' || Long.isLong(value);

function isComparable(a: unknown, b: unknown): boolean {
  return (
    (isNumeric(a) && isNumeric(b)) ||
    (a instanceof Date && b instanceof Date) ||
    (typeof a === 'string' && typeof b === 'string')
  );
}

function order(a: unknown, b: unknown): number {
  if (Long.isLong(a) || Long.isLong(b)) {
    return longOf(a).compare(longOf(b));
  }
  return (a as number) < (b as number) ? -1 : (a as number) > (b as number) ? 1 : 0;
}

const longOf = (value: unknown): Long =>
  Long.isLong(value) ? value : Long.fromNumber(value as number);

function isSame(value: unknown, wanted: unknown): boolean {
  if (value === wanted) return true;
  if (wanted === null) return value === undefined || value === null;
  if (isNumeric(value) && isNumeric(wanted)) return order(value, wanted) === 0;
  if (Array.isArray(value) && !Array.isArray(wanted)) {
    return value.some((item) => isSame(item, wanted));
  }
  if (typeof value !== 'object' || typeof wanted !== 'object') return false;
  return keyOf(value) === keyOf(wanted) && isDeepStrictEqual(value, wanted);
}

function valueAt(document: unknown, path: string): unknown {
  let value = document;
  for (const step of path.split('.')) {
    if (typeof value !== 'object' || value === null) return undefined;
    value = (value as Record<string, unknown>)[step];
  }
  return value;
}

/** Tells ids apart. */
export function keyOf(id: unknown): string {
  if (typeof id === 'string') return id;
  if (id instanceof UUID) return id.toHexString();
  return JSON.stringify(id);
}

/** The expressions of an update that is a pipeline, and of `$expr`. */
function compute(document: Document, expression: unknown, now: Date): unknown {
  if (expression === '$$NOW') return now;
  if (typeof expression === 'string' && expression.startsWith('$')) {
    return valueAt(document, expression.slice(1));
  }
  if (!isOperators(expression)) return expression;
  const [[operator, operand] = refuse('empty expression')] = Object.entries(expression);
  const all = () =>
    (operand as unknown[]).map((each) => compute(document, each, now) as number | Date);
  const [a, b] = operator === '$literal' ? [] : all();
  switch (operator) {
    case '$literal':
      return operand;
    case '$lt':
      return isComparable(a, b) && order(a, b) < 0;
    case '$add':
      return new Date(Number(a) + Number(b));
    case '$subtract':
      return new Date(Number(a) - Number(b));
    default:
      return refuse(`expression ${operator}`);
  }
}

/** What a document becomes by an update; what it is inserted as when it was not there. */
export function updated(
  before: Document | undefined,
  update: Document | readonly Document[],
  now: Date,
): Document {
  const document: Record<string, unknown> = { ...before };
  if (Array.isArray(update)) {
    for (const stage of update as Document[]) {
      const set = (stage['$set'] ?? refuse('stage of an update')) as Document;
      for (const [path, value] of Object.entries(set))
        document[path] = compute(document, value, now);
    }
    return document;
  }
  for (const [operator, changes] of Object.entries(update)) {
    if (operator === '$setOnInsert' && before !== undefined) continue;
    for (const [path, value] of Object.entries(changes as Document)) {
      if (path.includes('.')) refuse('update of a nested field');
      change(document, operator, path, value);
    }
  }
  return document;
}

function change(
  document: Record<string, unknown>,
  operator: string,
  path: string,
  value: unknown,
): void {
  switch (operator) {
    case '$set':
    case '$setOnInsert':
      document[path] = value;
      return;
    case '$unset':
      delete document[path];
      return;
    case '$inc':
      document[path] = Number(document[path] ?? 0) + Number(value);
      return;
    case '$push':
      document[path] = [...((document[path] as unknown[] | undefined) ?? []), value];
      return;
    case '$max':
      document[path] = Math.max(Number(document[path] ?? 0), Number(value));
      return;
    default:
      refuse(`update ${operator}`);
  }
}

/** The fields that a filter fixes are those of a document that an upsert inserts. */
export function fixedBy(filter: Document): Document {
  return Object.fromEntries(
    Object.entries(filter).flatMap(([path, condition]) => {
      if (path.includes('.') || path.startsWith('$')) return [];
      if (!isOperators(condition)) return [[path, condition]];
      return '$eq' in condition ? [[path, condition['$eq']]] : [];
    }),
  );
}
