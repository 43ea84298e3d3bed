/**
 * What may travel as the input or the result of a cross-store update: JSON that means the same
 * thing in Temporal's history, in PostgreSQL and in MongoDB.
 *
 * Each rule below names a value that one of them would silently change: JSON drops `undefined` and
 * turns `NaN` into null, PostgreSQL refuses U+0000 and lone surrogates, BSON reads a key that
 * begins with `$` as an operator, and `__proto__` replaces a prototype on the way.
 */

export type JsonPrimitive = string | number | boolean | null;
export type Json = JsonPrimitive | readonly Json[] | { readonly [key: string]: Json | undefined };

export interface JsonIssue {
  /** Where the value stands: `lines[2].sku`, or an empty string for the value itself. */
  readonly path: string;
  readonly reason: string;
}

/**
 * The bounds on one input or result. They lie far below what the stores and Temporal take, so that
 * what passes here passes there.
 */
export const JSON_LIMITS = { maxDepth: 32, maxBytes: 256 * 1024, maxKeys: 10_000 } as const;

/** An item of an array takes two bytes of JSON at least: more of them are too many bytes. */
const MAX_ITEMS = JSON_LIMITS.maxBytes / 2;

/** How many issues are told of one value, and how much of a path or a reason. */
const MAX_ISSUES = 10;
const MAX_ISSUE_CHARACTERS = 300;

const FORBIDDEN_KEYS = new Set(['__proto__', 'constructor', 'prototype', '_bsontype']);

/**
 * Takes a copy of a value as plain JSON for both stores, or lists why it is none: an empty list
 * means that it is. At most ten issues are collected.
 *
 * Every property is read once, so that what was looked at is what travels: a getter, a Proxy, or a
 * caller that changes its object afterwards makes no difference.
 */
export function inspectJson(value: unknown): {
  readonly json: Json;
  readonly issues: readonly JsonIssue[];
} {
  const inspection = new Inspection();
  const json = inspection.visit(value, '', 0);
  if (inspection.issues.length === 0) {
    const bytes = byteLengthOf(json);
    if (bytes > JSON_LIMITS.maxBytes) inspection.refuse('', tooLarge(`${bytes} bytes`));
  }
  return { json, issues: inspection.issues };
}

/** Bounded and well formed, since it becomes part of messages: a key may be as long as an input. */
export function issueAt(path: string, reason: string): JsonIssue {
  return { path: shortened(path), reason: shortened(reason) };
}

/** The workflow's sandbox has no Buffer. */
export function byteLengthOf(json: Json): number {
  return new TextEncoder().encode(JSON.stringify(json)).length;
}

function shortened(text: string): string {
  const short =
    text.length <= MAX_ISSUE_CHARACTERS ? text : `${text.slice(0, MAX_ISSUE_CHARACTERS - 1)}…`;
  return short.toWellFormed();
}

function tooLarge(size: string): string {
  return `is ${size} as JSON, more than the ${JSON_LIMITS.maxBytes} bytes allowed`;
}

class Inspection {
  readonly issues: JsonIssue[] = [];
  /** The rest may be without end: the same object many times, or an array of holes. */
  #isOver = false;
  #keys = 0;
  #items = 0;
  readonly #ancestors = new Set<object>();

  visit(value: unknown, path: string, depth: number): Json {
    if (value === null || typeof value === 'boolean') return value;
    if (typeof value === 'string') return this.#visitString(value, path);
    if (typeof value === 'number') return this.#visitNumber(value, path);
    if (typeof value !== 'object') {
      const kind = value === undefined ? 'undefined' : `a ${typeof value}`;
      return this.refuse(path, `is ${kind}, which JSON cannot carry`);
    }
    if (depth >= JSON_LIMITS.maxDepth) {
      return this.refuse(path, `lies deeper than ${JSON_LIMITS.maxDepth} levels`);
    }
    if (this.#ancestors.has(value)) return this.refuse(path, 'contains itself');
    const problem = findObjectProblem(value);
    if (problem !== undefined) return this.refuse(path, problem);
    this.#ancestors.add(value);
    const json = Array.isArray(value)
      ? this.#visitArray(value, path, depth)
      : this.#visitObject(value, path, depth);
    this.#ancestors.delete(value);
    return json;
  }

  /** Nothing of a refused value travels: what stands for it is never seen. */
  refuse(path: string, reason: string): null {
    if (!this.#isOver) this.issues.push(issueAt(path, reason));
    if (this.issues.length >= MAX_ISSUES) this.#isOver = true;
    return null;
  }

  #refuseTheRest(reason: string): void {
    this.refuse('', reason);
    this.#isOver = true;
  }

  #visitArray(value: readonly unknown[], path: string, depth: number): Json {
    const copy: Json[] = [];
    // A hole would become null: by its index it is met as undefined.
    for (let index = 0; index < value.length; index += 1) {
      if (++this.#items > MAX_ITEMS) this.#refuseTheRest(tooLarge(`more than ${MAX_ITEMS} items`));
      if (this.#isOver) break;
      copy.push(this.visit(value[index], `${path}[${index}]`, depth + 1));
    }
    return copy;
  }

  #visitObject(value: object, path: string, depth: number): Json {
    const copy: Record<string, Json> = {};
    for (const key of Object.keys(value)) {
      if (++this.#keys > JSON_LIMITS.maxKeys) {
        this.#refuseTheRest(`has more than ${JSON_LIMITS.maxKeys} keys in all`);
      }
      if (this.#isOver) break;
      const keyPath = path === '' ? key : `${path}.${key}`;
      const isGood = this.#visitKey(key, keyPath);
      const item: unknown = (value as Record<string, unknown>)[key];
      // An absent optional field and one that is undefined are the same in JSON: both are left out.
      if (item === undefined) continue;
      const json = this.visit(item, keyPath, depth + 1);
      if (isGood) copy[key] = json;
    }
    return copy;
  }

  #visitKey(key: string, path: string): boolean {
    const count = this.issues.length;
    if (key === '') this.refuse(path, 'has an empty key');
    if (key.startsWith('$')) this.refuse(path, 'has a key that begins with "$"');
    if (key.includes('.')) this.refuse(path, 'has a key that contains "."');
    if (FORBIDDEN_KEYS.has(key)) this.refuse(path, `has the reserved key "${key}"`);
    this.#visitString(key, path);
    return this.issues.length === count && !this.#isOver;
  }

  #visitString(value: string, path: string): Json {
    if (value.includes('\u0000')) return this.refuse(path, 'contains the character U+0000');
    if (!value.isWellFormed()) return this.refuse(path, 'contains half of a surrogate pair');
    return value;
  }

  #visitNumber(value: number, path: string): Json {
    if (!Number.isFinite(value)) return this.refuse(path, `is ${value}, which JSON cannot carry`);
    if (Object.is(value, -0)) return this.refuse(path, 'is -0, which JSON turns into 0');
    if (Number.isInteger(value) && !Number.isSafeInteger(value)) {
      return this.refuse(path, 'is an integer beyond 2^53; send it as a string');
    }
    return value;
  }
}

/** Says what an object has that JSON would leave out or write in another way. */
function findObjectProblem(value: object): string | undefined {
  // An own one is refused as the function that it is.
  const hasHiddenJson = 'toJSON' in value && !Object.hasOwn(value, 'toJSON');
  const isList = Array.isArray(value);
  if (hasHiddenJson || !(isList || isPlain(value))) return `is a ${classOf(value)}; ${SEND}`;
  if (Object.getOwnPropertySymbols(value).length > 0) return 'has a symbol as a key';
  return isList && Object.keys(value).length > value.length
    ? 'is an array with further properties, which JSON leaves out'
    : undefined;
}

const SEND = 'send it as a string or a number';

/**
 * An object of another realm (a Jest sandbox, a vm context) has a prototype that is not ours but is
 * as plain.
 */
function isPlain(value: object): boolean {
  const prototype: unknown = Object.getPrototypeOf(value);
  if (typeof prototype !== 'object' || prototype === null) return true;
  return Object.getPrototypeOf(prototype) === null && Object.hasOwn(prototype, 'isPrototypeOf');
}

function classOf(value: object): string {
  const made: unknown = (value as { constructor?: unknown }).constructor;
  return typeof made === 'function' && made.name !== '' ? made.name : 'class instance';
}
