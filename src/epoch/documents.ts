import { MongoServerError } from 'mongodb';
import { readImages, readVersionedImages, type VersionedImage } from '../activities/image';
import { reasonOf } from '../activities/mongo/errors';
import { writeInTurn } from '../activities/mongo/projection-turns';
import { inTransaction } from '../activities/postgres/transaction';
import { RefusedError } from '../activities/refusal';
import { isTwinwriteError } from '../domain/errors';
import { entityKeyOf, type Projection } from '../domain/projection';
import type { DocumentFinding, Repair } from './finding';
import { findAhead, findBehind } from './versions';

const TIMEOUT_MILLIS = 30_000;

/** A majority write waits, so several do at once. */
const WRITES_AT_ONCE = 8;

/**
 * Makes the documents of a projection what PostgreSQL has, wherever their versions differ. By the
 * same code as a projection leg: right at any time, and again after a crash.
 *
 * 1. Documents that are ahead get a version of the new epoch in PostgreSQL. All of them before any
 *    is written, since one may be in the way of another.
 * 2. Whatever is behind now is written, or made a tombstone where PostgreSQL has no such row.
 */
export async function repairDocuments(repair: Repair, projection: Projection): Promise<void> {
  const ahead = new Set<string>();
  for await (const ids of findAhead(repair, projection)) {
    for (const id of ids) ahead.add(id);
    await (repair.isDryRun ? tellAhead : renew)(repair, projection, ids);
  }
  for await (const ids of findBehind(repair, projection, ahead)) {
    if (repair.isDryRun) {
      for (const id of ids) tell(repair, projection, id, { found: 'behind', end: 'projected' });
    } else {
      await writeAll(repair, projection, ids, ahead);
    }
  }
}

/** Gives documents a version that is above any of the time that was lost. */
async function renew({ postgres }: Repair, { collection }: Projection, ids: readonly string[]) {
  const keys = ids.map((id) => `${collection}/${id}`);
  await inTransaction(postgres, { timeoutMillis: TIMEOUT_MILLIS }, async (client) => {
    await client.query(/*sql*/ `select twinwrite.bump($1)`, [keys]);
  });
}

async function tellAhead(repair: Repair, projection: Projection, ids: readonly string[]) {
  const references = ids.map((id) => projection.document(id));
  const options = { timeoutMillis: TIMEOUT_MILLIS, mode: 'snapshot' } as const;
  const images = await inTransaction(repair.postgres, options, (client) =>
    readImages(client, references),
  );
  for (const { reference, image } of images) {
    const end = image === undefined ? 'tombstoned' : 'projected';
    tell(repair, projection, reference.id, { found: 'ahead', end });
  }
}

async function writeAll(
  repair: Repair,
  projection: Projection,
  ids: readonly string[],
  ahead: ReadonlySet<string>,
): Promise<void> {
  const references = ids.map((id) => projection.document(id));
  const images = await readVersionedImages(repair.postgres, TIMEOUT_MILLIS, references);
  for (let first = 0; first < images.length; first += WRITES_AT_ONCE) {
    const some = images.slice(first, first + WRITES_AT_ONCE).map(async (image) => {
      const { id } = image.reference;
      const found = ahead.has(id) ? 'ahead' : 'behind';
      tell(repair, projection, id, { found, ...(await write(repair, image)) });
    });
    await Promise.all(some);
  }
}

type Told = Omit<DocumentFinding, 'what' | 'collection' | 'id'>;

function tell({ report }: Repair, { collection }: Projection, id: string, told: Told): void {
  report({ what: 'document', collection, id, ...told });
}

async function write(
  { mongo, postgres }: Repair,
  image: VersionedImage,
): Promise<Pick<DocumentFinding, 'end' | 'reason'>> {
  const own = new Set([entityKeyOf(image.reference)]);
  const until = performance.now() + TIMEOUT_MILLIS;
  const turns = { db: mongo.db(), postgres, own, ticket: image.holder ?? '', until };
  try {
    await writeInTurn(turns, image);
    return { end: image.image === undefined ? 'tombstoned' : 'projected' };
  } catch (error) {
    return { end: 'needs somebody', reason: reasonFor(error) };
  }
}

/** Never what a store said, which quotes documents. */
function reasonFor(error: unknown): string {
  if (error instanceof MongoServerError) return reasonOf(error).message;
  if (error instanceof RefusedError || isTwinwriteError(error)) return error.message;
  throw error;
}
