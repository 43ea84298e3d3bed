import { createHash } from 'node:crypto';
import { canonicalize } from './canonical-json';
import type { Json } from './json';

/**
 * Tells two inputs apart: SHA-256 of the canonical JSON (RFC 8785) of the input as the caller gave
 * it, before defaults and transforms, so that a default added by a deploy does not turn an honest
 * retry into a reused token. The prefix is the version of this very computation.
 */
export function fingerprintOf(input: Json): string {
  return `1:${createHash('sha256').update(canonicalize(input)).digest('base64url')}`;
}
