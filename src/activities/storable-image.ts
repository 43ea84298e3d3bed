import { types } from 'node:util';
import { BSON } from 'mongodb';
import { issueAt } from '../domain/json';

/** 16 MiB is MongoDB's limit; the rest is for what Twinwrite adds. */
const MAX_BYTES = 16 * 1024 * 1024 - 16 * 1024;

/** MongoDB's limit on the nesting of a document. */
const MAX_LEVELS = 100;

const MAX_INT64 = 2n ** 63n - 1n;

/**
 * Says why MongoDB cannot hold an image as it is, or nothing when it can. An image may have
 * anything that BSON has a type for, a `Date` or an `ObjectId` among them; what the driver would
 * change in silence is found here, and so is what it would refuse only when it writes.
 */
export function findStorageProblem(image: object): string | undefined {
  const problem = findProblem(image, '', 0);
  if (problem !== undefined) {
    const { path, reason } = issueAt(...problem);
    return `${path} ${reason}`;
  }
  try {
    const bytes = BSON.calculateObjectSize(image, { ignoreUndefined: true });
    if (bytes > MAX_BYTES) return `it has ${bytes} bytes`;
    // The size alone does not show what has no encoding.
    BSON.serialize(image, { ignoreUndefined: true });
    return undefined;
  } catch {
    // Its message quotes the value.
    return 'it cannot be encoded as BSON';
  }
}

type Problem = readonly [path: string, reason: string];

function findProblem(value: unknown, path: string, level: number): Problem | undefined {
  switch (typeof value) {
    case 'string':
      return value.isWellFormed() ? undefined : [path, 'has half of a surrogate pair'];
    case 'bigint':
      return value >= -MAX_INT64 - 1n && value <= MAX_INT64
        ? undefined
        : [path, 'is a bigint beyond 64 bits'];
    case 'function':
    case 'symbol':
      return [path, `is a ${typeof value}, which BSON leaves out`];
    case 'object':
      return value === null ? undefined : findObjectProblem(value, path, level);
    default:
      return undefined;
  }
}

function findObjectProblem(value: object, path: string, level: number): Problem | undefined {
  if (types.isDate(value)) {
    return Number.isNaN(value.getTime()) ? [path, 'is an invalid Date'] : undefined;
  }
  if (types.isSet(value)) return [path, 'is a Set, which BSON makes an empty object'];
  if (isOfBson(value)) return undefined;
  if (level > MAX_LEVELS) return [path, `lies deeper than ${MAX_LEVELS} levels`];
  const members = types.isMap(value) ? [...value] : Object.entries(value);
  for (const [key, member] of members) {
    const name = String(key);
    const memberPath = path === '' ? name : `${path}.${name}`;
    if (name.includes('\u0000') || !name.isWellFormed()) {
      return [memberPath, 'has a key that BSON cannot hold'];
    }
    const problem = findProblem(member, memberPath, level + 1);
    if (problem !== undefined) return problem;
  }
  return undefined;
}

/** Types that the driver encodes by itself. An own `_bsontype` is data, which it will refuse. */
function isOfBson(value: object): boolean {
  const isClass = '_bsontype' in value && !Object.hasOwn(value, '_bsontype');
  return isClass || types.isUint8Array(value) || types.isRegExp(value);
}
