import { setTimeout as sleep } from 'node:timers/promises';
import { type Db, type MongoClient, MongoServerError } from 'mongodb';
import type { Pool } from 'pg';
import { CLAIM_WAIT_MILLIS, shareMillis } from '../../domain/bounds';
import { TwinwriteError } from '../../domain/errors';
import type { Reason } from '../../domain/outcome';
import type { Claim, MongoFenceAnswer } from '../../domain/update-request';
import { readVersionedImages } from '../image';
import { RefusedError, refuseByDefinition } from '../refusal';
import type { UpdateInHand } from '../update-in-hand';
import { isTransientInTransaction, reasonOf, verdictOf } from './errors';
import * as ledger from './ledger';
import { writeImage } from './projection';
import { inTransaction } from './transaction';

export interface MongoStore {
  readonly client: MongoClient;
  readonly db: Db;
}

/** What the leg itself can say; settled it is in Postgres. */
export type MongoLegAnswer =
  | { readonly at: 'applied' }
  | { readonly at: 'refused'; readonly reason: Reason }
  | { readonly at: 'fencedOut' };

/**
 * The MongoDB half of an update's protocol, in the form that the claim recorded.
 *
 * 1. Projection: what is written is what Postgres has now, with the version that it has now. That
 *    is right in any order and at any time.
 * 2. Transaction: the claim is the first operation of the leg's transaction; whoever does not win
 *    it writes nothing (clause 3).
 * 3. Any error of the commit is in doubt; the next attempt's claim resolves it (clause 4).
 * 4. A refusal is an answer, and only for what no retry will change. Without an undo it is no
 *    answer but an error, retried slowly: the update is parked (clause 6).
 */
export async function applyMongo(
  store: MongoStore,
  postgres: Pool,
  update: UpdateInHand,
  claim: Claim,
): Promise<MongoLegAnswer> {
  try {
    if (claim.form === 'projection') return await project(store, postgres, update, claim);
    return await retryConflicts(() => applyTransaction(store, update, claim));
  } catch (error) {
    const reason = refusalOf(error);
    if (reason === undefined) throw error;
    if (claim.undoable) return { at: 'refused', reason };
    const { definition, token } = update.key;
    throw new TwinwriteError('Parked', { definition, token, reason: reason.message });
  }
}

async function project(
  store: MongoStore,
  postgres: Pool,
  update: UpdateInHand,
  claim: Claim,
): Promise<MongoLegAnswer> {
  const references = await update.documents(claim.documents);
  const { timeoutMillis } = update;
  const images = await readVersionedImages(
    postgres,
    shareMillis('image', timeoutMillis),
    references,
  );
  const until = performance.now() + shareMillis('mongo', timeoutMillis);
  for (const image of images) {
    const leftMillis = Math.max(1, Math.floor(until - performance.now()));
    await writeImage(store.db, leftMillis, image).catch((error: unknown) => {
      throw refusedDocument(error, image.reference.projection.collection) ?? error;
    });
  }
  return { at: 'applied' };
}

async function applyTransaction(
  { client, db }: MongoStore,
  update: UpdateInHand,
  claim: Claim,
): Promise<MongoLegAnswer> {
  const { definition, key, timeoutMillis } = update;
  const leg = definition.mongo.transaction;
  if (leg === undefined) throw formChanged(update);
  const { result } = claim;
  const input = await update.input();
  const bounds = { timeoutMillis: shareMillis('mongo', timeoutMillis) };
  try {
    await inTransaction(client, bounds, async (session) => {
      await ledger.claim(db, session, key);
      await leg.apply({ db, session, input, result, refuse: refuseByDefinition });
    });
    return { at: 'applied' };
  } catch (error) {
    if (!(error instanceof ledger.ClaimTakenError)) throw error;
    const known = await ledger.recall(db, key);
    return known?.state === 'applied' ? { at: 'applied' } : { at: 'fencedOut' };
  }
}

/**
 * Makes sure that the leg never runs after this; where it ran it is undone, if there is an undo.
 */
export async function fenceMongo(
  { client, db }: MongoStore,
  update: UpdateInHand,
  claim: Claim,
): Promise<MongoFenceAnswer> {
  const { definition, key, timeoutMillis } = update;
  const known = await ledger.fence(db, key);
  if (known.state !== 'applied') return { at: 'fenced' };
  const undo = definition.mongo.transaction?.undo;
  if (undo === undefined) return { at: 'applied' };
  const { result } = claim;
  const input = await update.input();
  const bounds = { timeoutMillis: shareMillis('mongo', timeoutMillis) };
  await retryConflicts(() =>
    inTransaction(client, bounds, async (session) => {
      const isOurs = await ledger.recordUndone(db, session, key);
      if (isOurs) await undo({ db, session, input, result });
    }),
  );
  return { at: 'fenced' };
}

function refusedDocument(error: unknown, collection: string): RefusedError | undefined {
  if (!(error instanceof MongoServerError) || verdictOf(error) !== 'refusal') return undefined;
  return new RefusedError(reasonOf(error, collection));
}

function refusalOf(error: unknown): Reason | undefined {
  if (error instanceof RefusedError) return error.reason;
  if (error instanceof MongoServerError && verdictOf(error) === 'refusal') return reasonOf(error);
  return undefined;
}

function formChanged({ definition }: UpdateInHand): TwinwriteError {
  return new TwinwriteError('InvalidDefinition', {
    definition: definition.name,
    problem:
      'it was claimed in the transaction form, and this build has another; deploy one that has it.',
  });
}

/**
 * MongoDB answers a conflicting claim at once and does not wait for the winner, as Postgres does;
 * so the waiting is here, as short as there.
 */
async function retryConflicts<Result>(attempt: () => Promise<Result>): Promise<Result> {
  const until = Date.now() + CLAIM_WAIT_MILLIS;
  for (;;) {
    try {
      return await attempt();
    } catch (error) {
      if (!isTransientInTransaction(error) || Date.now() > until) throw error;
      await sleep(10 + Math.random() * 40);
    }
  }
}
