import { setTimeout as sleep } from 'node:timers/promises';
import { type Db, Long, MongoServerError } from 'mongodb';
import type { Pool } from 'pg';
import { TwinwriteError } from '../../domain/errors';
import { type DocumentReference, entityKeyOf } from '../../domain/projection';
import { readVersion, readVersionedImages, type VersionedImage } from '../image';
import { RefusedError } from '../refusal';
import { duplicateKeyOf, isTransientInTransaction, reasonOf, verdictOf } from './errors';
import { collectionOf, writeImage } from './projection';
import { findMet, KeyTakenError, MAX_MET, type MetDocument } from './projection-collision';
import { unsuitableIndex } from './projection-indexes';
import { writeTogether } from './projection-swap';

export interface Turns {
  readonly db: Db;
  readonly postgres: Pool;
  /** The keys of the update's own documents: of others it says no more than that it waits. */
  readonly own: ReadonlySet<string>;
  /** The update's own ticket: what another holder's work looks like is for that one to settle. */
  readonly ticket: string;
  /** The end of the leg's time, on the clock of `performance.now()`. */
  readonly until: number;
}

/** Documents that are written at once: one, or those of a cycle. */
type Group = readonly VersionedImage[];

/**
 * Writes one image, and before it every document that is in its way.
 *
 * A projection's uniqueness is decided in Postgres. A document that has our key in MongoDB and is
 * behind Postgres has given it up there: it is written first. So the stack grows by whom its top
 * meets, and shrinks as they are written. Who meets somebody further down has closed a cycle, such
 * as two documents that swap their keys: its members are written together. Only a document that is
 * at Postgres's own version has the key for good, and that is a refusal (F5).
 *
 * @throws RefusedError, for the update's own documents alone
 * @throws TwinwriteError `NotAdopted`, `MongoAhead`, `UnsuitableStore`
 */
export async function writeInTurn(turns: Turns, wanted: VersionedImage): Promise<void> {
  const stack: Group[] = [[wanted]];
  for (let top = stack.at(-1); top !== undefined; top = stack.at(-1)) {
    leftMillis(turns);
    const answer = await writeGroup(turns, top);
    if (answer === 'written') stack.pop();
    else if (answer === 'again') await pause();
    else await makeWay(turns, stack, answer);
  }
}

/** With less it is not worth asking a store, whose connection would be cut in the middle. */
const MIN_LEFT_MILLIS = 25;

/** What is left of the leg's time; Temporal tries again when it is used up. */
function leftMillis({ until }: Turns): number {
  const left = Math.floor(until - performance.now());
  if (left >= MIN_LEFT_MILLIS) return left;
  throw new Error('the leg had no time left for its documents; the next attempt goes on');
}

async function pause(): Promise<void> {
  await sleep(10 + Math.random() * 40);
}

async function writeGroup(
  turns: Turns,
  group: Group,
): Promise<'written' | 'again' | KeyTakenError> {
  try {
    const rest = group.length === 1 ? group : await writeCycle(turns, group);
    for (const versioned of rest) {
      const isThere = await writeOne(turns, versioned);
      if (!isThere) return 'again';
    }
    return 'written';
  } catch (error) {
    if (error instanceof KeyTakenError) return error;
    if (isTransientInTransaction(error)) return 'again';
    throw error;
  }
}

async function writeCycle(turns: Turns, group: Group): Promise<Group> {
  return await writeTogether(turns.db, leftMillis(turns), group, (versioned, error) =>
    meaningOf(turns, versioned, error),
  );
}

async function writeOne(turns: Turns, versioned: VersionedImage): Promise<boolean> {
  const { db, postgres } = turns;
  const { reference } = versioned;
  const answer = await writeImage(db, leftMillis(turns), versioned).catch((error: unknown) => {
    throw meaningOf(turns, versioned, error);
  });
  if (answer.at !== 'superseded') return answer.at === 'written';
  if (answer.version.equals(Long.fromString(versioned.version))) return true;
  // Read after MongoDB was: Postgres has a version before MongoDB does.
  const current = await readVersion(postgres, leftMillis(turns), reference);
  assertNotAhead(reference, answer.version, current);
  return true;
}

function assertNotAhead(reference: DocumentReference, found: Long, current: string): void {
  if (found.lessThanOrEqual(Long.fromString(current))) return;
  const { projection, id } = reference;
  throw new TwinwriteError('MongoAhead', { collection: projection.collection, id });
}

function meaningOf(turns: Turns, versioned: VersionedImage, error: unknown): unknown {
  if (!(error instanceof MongoServerError)) return error;
  if (duplicateKeyOf(error) !== undefined) return new KeyTakenError(versioned, error);
  if (verdictOf(error) !== 'refusal') return error;
  return refusalOf(turns, versioned, error);
}

/**
 * What MongoDB refuses of another update's document is for that update to settle. So is what it
 * refuses of our own while another update holds it: the newest image shows that one's work, which
 * may be taken back (F2).
 */
function refusalOf(
  { own, ticket }: Turns,
  { reference, holder }: VersionedImage,
  error: MongoServerError,
): Error {
  const key = entityKeyOf(reference);
  return own.has(key) && (holder ?? ticket) === ticket
    ? new RefusedError(reasonOf(error, reference.projection.collection))
    : new Error(
        `the document waits for ${key}, which MongoDB refuses until its own update is settled`,
      );
}

/** Puts on the stack what has to be written first, or concludes that the key is taken for good. */
async function makeWay(turns: Turns, stack: Group[], taken: KeyTakenError): Promise<void> {
  const group = stack.at(-1) ?? [];
  const met = await findMet(collectionOf(turns.db, taken.versioned), taken, leftMillis(turns));
  const { projection } = taken.versioned.reference;
  const ours = met.flatMap((document) => document.ours ?? []);
  const references = ours.map(({ id }) => projection.document(id));
  const newest = await readNewest(turns, [
    ...group.map(({ reference }) => reference),
    ...references,
  ]);
  const renewed = group.map((member) => find(newest, member.reference) ?? member);
  stack[stack.length - 1] = renewed;
  const behind = ours.flatMap(({ id, version }) => {
    const image = find(newest, projection.document(id));
    if (image === undefined) return [];
    assertNotAhead(image.reference, version, image.version);
    return version.lessThan(Long.fromString(image.version)) ? [image] : [];
  });
  const isUnchanged = renewed.every(({ version }, index) => version === group[index]?.version);
  if (behind.length > 0) return await putBefore(stack, behind);
  if (!isUnchanged || met.length === 0 || met.length === MAX_MET) return await pause();
  throw concluded(turns, taken, met);
}

/** One snapshot for all: what Postgres keeps apart, it keeps apart in there. */
async function readNewest(
  turns: Turns,
  references: readonly DocumentReference[],
): Promise<VersionedImage[]> {
  const unique = new Map(references.map((reference) => [entityKeyOf(reference), reference]));
  try {
    return await readVersionedImages(turns.postgres, leftMillis(turns), [...unique.values()]);
  } catch (error) {
    // The image of another update's document may be the one: it is for that update to settle.
    if (!(error instanceof RefusedError)) throw error;
    throw new Error('MongoDB cannot hold the image of a document in the way', { cause: error });
  }
}

function find(
  images: readonly VersionedImage[],
  reference: DocumentReference,
): VersionedImage | undefined {
  const key = entityKeyOf(reference);
  return images.find((image) => entityKeyOf(image.reference) === key);
}

async function putBefore(stack: Group[], behind: readonly VersionedImage[]): Promise<void> {
  const depths = behind.map(({ reference }) =>
    stack.findIndex((group) => find(group, reference) !== undefined),
  );
  const fresh = behind.find((_, index) => depths[index] === -1);
  if (fresh !== undefined) {
    stack.push([fresh]);
    return;
  }
  const lowest = Math.min(...depths);
  // Met in its own group: the transaction that writes it lost against another writer.
  if (lowest === stack.length - 1) return await pause();
  stack.push(stack.splice(lowest).flat());
}

function concluded(
  turns: Turns,
  { versioned, answer }: KeyTakenError,
  met: readonly MetDocument[],
): Error {
  // Among tombstones no key is taken by data, but by an index that does not leave them out.
  const isOfTombstones =
    versioned.image === undefined || met.some(({ ours }) => ours?.live === false);
  if (isOfTombstones) return unsuitableIndex(versioned.reference.projection, answer);
  return refusalOf(turns, versioned, answer);
}
