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

const FORBIDDEN_KEYS = new Set(['__proto__', 'constructor', 'prototype', '_bsontype']);

/**
 * Lists why a value is not plain JSON for both stores; an empty list means that it is. At most ten
 * issues are collected.
 */
export function findJsonIssues(value: unknown): JsonIssue[] {
  const inspection = new Inspection();
  inspection.visit(value, '', 0);
  if (inspection.issues.length === 0) {
    const bytes = Buffer.byteLength(JSON.stringify(value) ?? '');
    if (bytes > JSON_LIMITS.maxBytes) {
      inspection.refuse(
        '',
        `is ${bytes} bytes as JSON, more than the ${JSON_LIMITS.maxBytes} allowed`,
      );
    }
  }
  return inspection.issues;
}

class Inspection {
  readonly issues: JsonIssue[] = [];
  #keys = 0;
  readonly #ancestors = new Set<object>();

  refuse(path: string, reason: string): void {
    if (this.issues.length < 10) this.issues.push({ path, reason });
  }

  visit(value: unknown, path: string, depth: number): void {
    if (value === null || typeof value === 'boolean') return;
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
    this.#ancestors.add(value);
    if (Array.isArray(value)) {
      // A hole in an array would become null: iterating meets it as undefined.
      for (const [index, item] of (value as unknown[]).entries()) {
        this.visit(item, `${path}[${index}]`, depth + 1);
      }
    } else {
      this.#visitObject(value, path, depth);
    }
    this.#ancestors.delete(value);
  }

  #visitObject(value: object, path: string, depth: number): void {
    const prototype: unknown = Object.getPrototypeOf(value);
    // An object of another realm (a Jest sandbox, a vm context) has a prototype that is not ours
    // but is as plain.
    const isPlain = prototype === null || Object.getPrototypeOf(prototype) === null;
    if (!isPlain) {
      return this.refuse(path, `is a ${value.constructor.name}; send it as a string or a number`);
    }
    for (const key of Object.getOwnPropertyNames(value)) {
      const keyPath = path === '' ? key : `${path}.${key}`;
      if (++this.#keys > JSON_LIMITS.maxKeys) {
        return this.refuse(path, `has more than ${JSON_LIMITS.maxKeys} keys in all`);
      }
      this.#visitKey(key, keyPath);
      const item: unknown = (value as Record<string, unknown>)[key];
      // An absent optional field and one that is undefined are the same in JSON: both are left out.
      if (item !== undefined) this.visit(item, keyPath, depth + 1);
    }
  }

  #visitKey(key: string, path: string): void {
    if (key === '') this.refuse(path, 'has an empty key');
    if (key.startsWith('$')) this.refuse(path, 'has a key that begins with "$"');
    if (key.includes('.')) this.refuse(path, 'has a key that contains "."');
    if (FORBIDDEN_KEYS.has(key)) this.refuse(path, `has the reserved key "${key}"`);
    this.#visitString(key, path);
  }

  #visitString(value: string, path: string): void {
    if (value.includes('\u0000')) this.refuse(path, 'contains the character U+0000');
    if (!value.isWellFormed()) this.refuse(path, 'contains half of a surrogate pair');
  }

  #visitNumber(value: number, path: string): void {
    if (!Number.isFinite(value)) this.refuse(path, `is ${value}, which JSON cannot carry`);
    else if (Object.is(value, -0)) this.refuse(path, 'is -0, which JSON turns into 0');
    else if (Number.isInteger(value) && !Number.isSafeInteger(value)) {
      this.refuse(path, 'is an integer beyond 2^53; send it as a string');
    }
  }
}
