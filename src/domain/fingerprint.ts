import { createHash } from 'node:crypto';
import { canonicalize } from 'json-canonicalize';
import type { Json } from './json';

/**
 * Tells two inputs apart: SHA-256 of the canonical JSON (RFC 8785) of the input as the caller gave
 * it, before defaults and transforms, so that a default added by a deploy does not turn an honest
 * retry into a reused token. The prefix is the version of this very computation.
 */
export function fingerprintOf(input: Json): string {
  // What travels decides: an optional field that is undefined, and one that is absent, are one
  // input.
  const travelled: unknown = JSON.parse(JSON.stringify(input));
  return `1:${createHash('sha256').update(canonicalize(travelled)).digest('base64url')}`;
}
