import type { ClientSession, Db, MongoServerError } from 'mongodb';
import type { VersionedImage } from '../image';
import { duplicateKeyOf } from './errors';
import { emptyDocument, replaceDocument } from './projection';
import { unsuitableIndex } from './projection-indexes';
import { inTransaction } from './transaction';

/**
 * Writes documents that have each other's keys, in one MongoDB transaction: all of them are emptied
 * first, which frees their keys, and then written. Nobody outside sees them without their keys.
 *
 * Each document is written only if it is older, as it is alone. There is no upsert: whoever stands
 * in a cycle was met in MongoDB (F39).
 *
 * @param explain makes of an error what it means for the member that had it.
 * @returns those that were not older: somebody else wrote them.
 */
export async function writeTogether(
  db: Db,
  timeoutMillis: number,
  group: readonly VersionedImage[],
  explain: (versioned: VersionedImage, error: unknown) => unknown,
): Promise<VersionedImage[]> {
  const documents = group.map(({ reference }) => reference);
  const key = {
    definition: documents[0]?.projection.collection ?? '',
    token: documents.map(({ id }) => id).join(),
  };
  // As for a single document: a projection is right in a restored store too.
  const options = { timeoutMillis, key, guard: 'off' } as const;
  return await inTransaction(db.client, options, async (session) => {
    for (const versioned of group) await empty(db, session, versioned);
    const notOlder: VersionedImage[] = [];
    for (const versioned of group) {
      const isWritten = await replaceDocument(db, session, versioned).catch((error: unknown) => {
        throw explain(versioned, error);
      });
      if (!isWritten) notOlder.push(versioned);
    }
    return notOlder;
  });
}

async function empty(db: Db, session: ClientSession, versioned: VersionedImage): Promise<void> {
  try {
    await emptyDocument(db, session, versioned);
  } catch (error) {
    // What is empty has no key, unless the index has documents without one in it.
    if (duplicateKeyOf(error) === undefined) throw error;
    throw unsuitableIndex(versioned.reference.projection, error as MongoServerError);
  }
}
