import { type Db, type IndexDescriptionInfo, MongoServerError } from 'mongodb';
import { TwinwriteError } from '../../domain/errors';
import type { Projection } from '../../domain/projection';

/** What this module needs to know of an index. */
type Index = Pick<
  IndexDescriptionInfo,
  'key' | 'unique' | 'sparse' | 'partialFilterExpression' | 'collation' | 'name'
>;

const NAMESPACE_NOT_FOUND = 26;

/**
 * Looks for a unique index that has tombstones in it: the second document to be deleted would meet
 * the first one, since both lack the indexed field (F14). An index leaves them out when it is
 * partial on `_tw.live`, or on a field that a tombstone has not, or sparse.
 *
 * @returns the error to be thrown, with the command that mends it.
 */
export async function findUnsuitableIndex(
  db: Db,
  projection: Projection,
): Promise<TwinwriteError | undefined> {
  const index = (await indexesOf(db, projection)).find(
    (candidate) => candidate.unique === true && hasTombstones(projection, candidate),
  );
  return index === undefined ? undefined : errorOf(projection, index);
}

/** The same, found by a tombstone that met another one. */
export function unsuitableIndex(projection: Projection, met: MongoServerError): TwinwriteError {
  const collation = met['collation'] as Index['collation'];
  const key = (met['keyPattern'] ?? {}) as Index['key'];
  return errorOf(projection, { key, ...(collation === undefined ? {} : { collation }) });
}

async function indexesOf(db: Db, { collection }: Projection): Promise<Index[]> {
  try {
    return await db.collection(collection).indexes();
  } catch (error) {
    // A collection that is not there yet has no index.
    if (error instanceof MongoServerError && error.code === NAMESPACE_NOT_FOUND) return [];
    throw error;
  }
}

function hasTombstones(projection: Projection, index: Index): boolean {
  const paths = Object.keys(index.key);
  const isGone = (path: string) => isAbsentFromTombstones(projection, path);
  // With its id a document never has the key of another, and where nothing is taken away from it
  // nothing is met that was not met before.
  if (paths.includes('_id') || !paths.some(isGone)) return false;
  if (index.sparse === true && paths.every(isGone)) return false;
  return !leavesOut(projection, index.partialFilterExpression);
}

/** A tombstone keeps its id and its stamp, and what its projection does not own. */
function isAbsentFromTombstones({ owns }: Projection, path: string): boolean {
  const field = path.split('.')[0] ?? '';
  if (field === '_id' || field === '_tw') return false;
  return owns === undefined || owns.includes(field);
}

/** Whether no tombstone passes the filter. What the server takes in one is a short list. */
function leavesOut(projection: Projection, filter: unknown): boolean {
  if (typeof filter !== 'object' || filter === null) return false;
  return Object.entries(filter).some(([path, condition]: [string, unknown]) => {
    const branches = Array.isArray(condition) ? (condition as unknown[]) : [];
    if (path === '$and') return branches.some((branch) => leavesOut(projection, branch));
    if (path === '$or') return branches.every((branch) => leavesOut(projection, branch));
    if (path === '_tw.live') return isTrue(condition);
    return isAbsentFromTombstones(projection, path) && needsValue(condition);
  });
}

function isTrue(condition: unknown): boolean {
  return condition === true || (condition as { $eq?: unknown } | null)?.$eq === true;
}

/** A field that is absent passes as null. */
function needsValue(condition: unknown): boolean {
  if (condition === null) return false;
  if (typeof condition !== 'object') return true;
  const operands = Object.entries(condition) as [string, unknown][];
  const isOperator = operands[0]?.[0].startsWith('$') === true;
  if (!isOperator) return true;
  return operands.some(([operator, operand]) => {
    if (operator === '$exists') return operand === true;
    return operator !== '$in' && operand !== null;
  });
}

function errorOf({ collection }: Projection, index: Index): TwinwriteError {
  const place = `db.getCollection(${JSON.stringify(collection)})`;
  const paths = Object.keys(index.key);
  const options = {
    name: `${paths.join('_')}_live`,
    unique: true,
    partialFilterExpression: { ...index.partialFilterExpression, '_tw.live': true },
    ...(index.collation === undefined ? {} : { collation: index.collation }),
  };
  const create = `${place}.createIndex(${JSON.stringify(index.key)}, ${JSON.stringify(options)})`;
  const drop =
    index.name === undefined
      ? 'drop the old one'
      : `${place}.dropIndex(${JSON.stringify(index.name)})`;
  return new TwinwriteError('UnsuitableStore', {
    store: 'MongoDB',
    problem: `the unique index on ${paths.join(', ')} of "${collection}" has tombstones in it, which would meet each other; run ${create} and then ${drop}.`,
  });
}
