import type { ClientSession, Collection, Db } from 'mongodb';
import { TwinwriteError } from '../../domain/errors';
import type { LedgerKey } from '../ledger-key';
import { within } from './deadline';
import { duplicateKeyOf } from './errors';

export const LEDGER_COLLECTION = 'twinwrite_ledger';

/**
 * What a token ever meant in MongoDB. For the transaction form only: a projection's claim and fence
 * is its version.
 */
export interface LedgerDocument {
  readonly _id: string;
  readonly state: 'applied' | 'fenced' | 'undone';
  readonly fingerprint: string;
  readonly at: Date;
}

/**
 * Somebody claimed the token before, or fenced it. The transaction is aborted; `recall` says who it
 * was.
 */
export class ClaimTakenError extends Error {
  override readonly name = 'ClaimTakenError';
}

/**
 * Claims the token in the leg's own transaction. `insertOne` and not an upsert: before 6.0.25,
 * 7.0.22 and 8.0.12 an upsert inside a transaction can break a unique index (SERVER-95524).
 *
 * @throws ClaimTakenError
 */
export async function claim(db: Db, session: ClientSession, key: LedgerKey): Promise<void> {
  try {
    const document = { ...identity(key), state: 'applied' as const, at: new Date() };
    await ledgerOf(db).insertOne(document, { session });
  } catch (error) {
    if (duplicateKeyOf(error) === undefined) throw error;
    throw new ClaimTakenError('the token is claimed or fenced', { cause: error });
  }
}

/**
 * What the ledger knows of the token, by a majority read: what a failover could still take back is
 * not known.
 */
export async function recall(
  db: Db,
  key: LedgerKey,
  timeoutMillis: number,
): Promise<LedgerDocument | undefined> {
  const document = await find(db, key, timeoutMillis);
  return document === undefined ? undefined : checked(key, document);
}

/** The same for whoever only looks, and has no input to compare. */
export async function find(
  db: Db,
  key: Pick<LedgerKey, 'definition' | 'token'>,
  timeoutMillis = 10_000,
): Promise<LedgerDocument | undefined> {
  const finding = ledgerOf(db).findOne(
    { _id: { $eq: idOf(key) } },
    { readConcern: 'majority', readPreference: 'primary', maxTimeMS: timeoutMillis },
  );
  const document = await within(timeoutMillis, finding);
  return document ?? undefined;
}

/**
 * Inserts the fence unless the token is claimed, and says which of the two stands. It waits behind
 * an open claim, or beats it.
 *
 * @param timeoutMillis bounds the wait, here and in the server.
 */
export async function fence(
  db: Db,
  key: LedgerKey,
  timeoutMillis: number,
): Promise<LedgerDocument> {
  const { _id, fingerprint } = identity(key);
  const fencing = ledgerOf(db).findOneAndUpdate(
    { _id },
    { $setOnInsert: { state: 'fenced', fingerprint, at: new Date() } },
    {
      upsert: true,
      returnDocument: 'after',
      writeConcern: { w: 'majority', journal: true },
      maxTimeMS: timeoutMillis,
    },
  );
  const document = await within(timeoutMillis, fencing);
  if (document === null)
    throw new Error('an upsert that returns the document afterwards returned none');
  return checked(key, document);
}

/**
 * Marks the claim as undone, in the transaction of the undo. Says whether it is this transaction
 * that undoes it.
 */
export async function recordUndone(
  db: Db,
  session: ClientSession,
  key: LedgerKey,
): Promise<boolean> {
  const answer = await ledgerOf(db).updateOne(
    { _id: idOf(key), state: 'applied' },
    { $set: { state: 'undone' } },
    { session },
  );
  return answer.modifiedCount === 1;
}

function ledgerOf(db: Db): Collection<LedgerDocument> {
  return db.collection<LedgerDocument>(LEDGER_COLLECTION);
}

function identity(key: LedgerKey): Pick<LedgerDocument, '_id' | 'fingerprint'> {
  return { _id: idOf(key), fingerprint: key.fingerprint };
}

/** A definition's name has no slash, so two pairs never meet in one id. */
export function idOf({ definition, token }: Pick<LedgerKey, 'definition' | 'token'>): string {
  return `${definition}/${token}`;
}

function checked(key: LedgerKey, document: LedgerDocument): LedgerDocument {
  if (document.fingerprint === key.fingerprint) return document;
  const { definition, token } = key;
  throw new TwinwriteError('TokenReused', { definition, token });
}
