import { setTimeout as sleep } from 'node:timers/promises';
import { type Db, type MongoClient, MongoServerError } from 'mongodb';
import type { Pool } from 'pg';
import { CLAIM_WAIT_MILLIS, shareMillis } from '../../domain/bounds';
import { TwinwriteError } from '../../domain/errors';
import type { Reason } from '../../domain/outcome';
import type { Claim, MongoFenceAnswer } from '../../domain/update-request';
import { runCallback } from '../callback-fault';
import { RefusedError, refuseByDefinition } from '../refusal';
import type { UpdateInHand } from '../update-in-hand';
import { isInDoubt, isOfMongo, isTransientInTransaction, reasonOf, verdictOf } from './errors';
import * as ledger from './ledger';
import { endOrphans } from './orphans';
import { project } from './projection-leg';
import { assertOpen } from './store-guard';
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
    if (claim.form === 'projection') {
      await project(store.db, postgres, update, claim);
      return { at: 'applied' };
    }
    return await claimAgain(store, update, (timeoutMillis) =>
      applyTransaction(store, update, claim, timeoutMillis),
    );
  } catch (error) {
    const reason = refusalOf(error);
    if (reason === undefined) throw error;
    if (claim.undoable) return { at: 'refused', reason };
    const { definition, token } = update.key;
    throw new TwinwriteError('Parked', { definition, token, reason: reason.message });
  }
}

async function applyTransaction(
  { client, db }: MongoStore,
  update: UpdateInHand,
  claim: Claim,
  timeoutMillis: number,
): Promise<MongoLegAnswer> {
  const { definition, key } = update;
  const leg = definition.mongo.transaction;
  if (leg === undefined) throw formChanged(update);
  const { result } = claim;
  const input = await update.input();
  try {
    await inTransaction(client, { timeoutMillis, key }, async (session) => {
      await ledger.claim(db, session, key);
      await runCallback(
        () => leg.apply({ db, session, input, result, refuse: refuseByDefinition }),
        isOfMongo,
      );
    });
    return { at: 'applied' };
  } catch (error) {
    if (!(error instanceof ledger.ClaimTakenError)) throw error;
    const known = await ledger.recall(db, key, timeoutMillis);
    if (known === undefined) throw new ClaimNotDurableError();
    return { at: known.state === 'applied' ? 'applied' : 'fencedOut' };
  }
}

/**
 * Makes sure that the leg never runs after this; where it ran it is undone, if there is an undo.
 */
export async function fenceMongo(
  store: MongoStore,
  update: UpdateInHand,
  claim: Claim,
): Promise<MongoFenceAnswer> {
  const { client, db } = store;
  const { definition, key } = update;
  // A fence waits for whoever has the claim in hand; nobody has an orphan's.
  await endOrphans(client, key);
  await assertOpen(db);
  const known = await ledger.fence(db, key, shareMillis('mongo', update.timeoutMillis));
  if (known.state !== 'applied') return { at: 'fenced' };
  const leg = definition.mongo.transaction;
  if (leg === undefined) throw formChanged(update);
  // A definition with an undo here alone is none: a build that lost both must not decide by that.
  if (!definition.undoable) throw update.withoutUndo();
  const { undo } = leg;
  if (undo === undefined) return { at: 'applied' };
  const { result } = claim;
  const input = await update.input();
  await claimAgain(store, update, (timeoutMillis) =>
    inTransaction(client, { timeoutMillis, key }, async (session) => {
      const isOurs = await ledger.recordUndone(db, session, key);
      if (isOurs) await runCallback(() => undo({ db, session, input, result }), isOfMongo);
    }),
  );
  return { at: 'fenced' };
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

/** A twin's claim is there, and a failover could still take it back. */
class ClaimNotDurableError extends Error {
  override readonly name = 'ClaimNotDurableError';

  constructor() {
    super('the claim of another attempt is not on a majority of the members yet');
  }
}

/**
 * Claims again, for as long as a claim of Postgres would wait: MongoDB answers a conflicting claim
 * at once and does not wait for the winner, and a commit in doubt is resolved by the next claim. All
 * tries together stay within the leg's share (clause 8).
 */
async function claimAgain<Result>(
  { client }: MongoStore,
  { key, timeoutMillis }: UpdateInHand,
  attempt: (timeoutMillis: number) => Promise<Result>,
): Promise<Result> {
  const share = shareMillis('mongo', timeoutMillis);
  const startedAt = performance.now();
  for (;;) {
    const passedMillis = Math.floor(performance.now() - startedAt);
    try {
      return await attempt(share - passedMillis);
    } catch (error) {
      const isLate = performance.now() - startedAt > Math.min(CLAIM_WAIT_MILLIS, share / 2);
      if (isLate || !isWorthAnother(error)) throw error;
      await endOrphans(client, key);
      await sleep(10 + Math.random() * 40);
    }
  }
}

function isWorthAnother(error: unknown): boolean {
  return (
    isTransientInTransaction(error) || isInDoubt(error) || error instanceof ClaimNotDurableError
  );
}
