import type { Json } from './json';

/**
 * Canonical JSON: members sorted by the code units of their keys, everything else as JavaScript
 * writes it, which is what the RFC prescribes. No key has a meaning, `toJSON` among them.
 */
export function canonicalize(value: Json): string {
  if (value === null || typeof value !== 'object') return JSON.stringify(value);
  if (isList(value)) return `[${value.map(canonicalize).join(',')}]`;
  const members = Object.keys(value)
    .sort()
    // What travels decides: an optional field that is undefined, and one that is absent, are one
    // input.
    .flatMap((key) => {
      const member = value[key];
      return member === undefined ? [] : [`${JSON.stringify(key)}:${canonicalize(member)}`];
    });
  return `{${members.join(',')}}`;
}

/** `Array.isArray` does not narrow a list that is read only. */
function isList(value: object): value is readonly Json[] {
  return Array.isArray(value);
}
