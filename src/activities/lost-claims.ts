import { isTwinwriteError, TwinwriteError } from '../domain/errors';
import type { Reason } from '../domain/outcome';
import type { Claim, LedgerAnswer } from '../domain/update-request';
import { idOf, LEDGER_COLLECTION } from './mongo/ledger';
import * as mongoLeg from './mongo/leg';
import * as ledger from './postgres/ledger';
import * as postgresLeg from './postgres/leg';
import { inTransaction } from './postgres/transaction';
import type { Stores } from './steps';
import type { UpdateInHand } from './update-in-hand';

/**
 * The steps that need a claim, for a driver whose claim PostgreSQL has lost: it was restored, or
 * promoted without it, and its epoch was raised since (clause 13). The driver still has the input,
 * so the token is claimed anew and the driver follows what the ledger says of that; it never
 * concludes anything from the claim that it had.
 */

const LOST: Reason = {
  code: 'Cancelled',
  message: 'It was being taken back when PostgreSQL lost it in a restore',
};

/** Applies the Mongo leg, and settles the update in PostgreSQL. */
export async function finishForward(stores: Stores, update: UpdateInHand, claim: Claim) {
  const { postgres, mongo } = stores;
  const answer = await orClaimedAnew(stores, update, claim.undone === true, async () => {
    const applied = await mongoLeg.applyMongo(mongo, postgres.pool, update, claim);
    return applied.at === 'applied' ? await postgresLeg.settle(postgres, update, claim) : applied;
  });
  if (answer.at === 'settled' && answer.outcome.status !== 'applied') {
    await takeBack(stores, update, claim);
  }
  return answer;
}

export async function undoPostgres(stores: Stores, update: UpdateInHand): Promise<LedgerAnswer> {
  const undo = () => postgresLeg.undoPostgres(stores.postgres, update);
  return await orClaimedAnew(stores, update, true, undo);
}

export async function resumeForward(stores: Stores, update: UpdateInHand): Promise<LedgerAnswer> {
  const resume = () => postgresLeg.resumeForward(stores.postgres, update);
  return await orClaimedAnew(stores, update, false, resume);
}

async function orClaimedAnew<Answer>(
  { postgres }: Stores,
  update: UpdateInHand,
  isBackward: boolean,
  work: () => Promise<Answer>,
): Promise<Answer | LedgerAnswer> {
  try {
    return await work();
  } catch (error) {
    const mayBeLost =
      isTwinwriteError(error, 'UnknownUpdate') || isTwinwriteError(error, 'MongoAhead');
    if (!mayBeLost || (await isKnown(postgres, update))) throw error;
    return await claimAnew(postgres, update, isBackward);
  }
}

/**
 * What was being taken back is applied and taken back once more: only a version that PostgreSQL
 * knows makes MongoDB's documents what they were before.
 */
async function claimAnew(
  postgres: postgresLeg.PostgresStore,
  update: UpdateInHand,
  isBackward: boolean,
): Promise<LedgerAnswer> {
  const answer = await postgresLeg.applyPostgres(postgres, update);
  update.assertOwnTurn(answer);
  if (!isBackward || answer.at !== 'forward') return answer;
  return await postgresLeg.fencePostgres(postgres, update, LOST);
}

async function isKnown({ pool }: postgresLeg.PostgresStore, update: UpdateInHand) {
  const { key, timeoutMillis } = update;
  return await inTransaction(pool, { timeoutMillis }, (client) => ledger.knows(client, key));
}

/**
 * PostgreSQL, as it is after a restore, refuses what MongoDB has: it is taken back there. In any
 * other case MongoDB has no more to take back, and this finds it so.
 *
 * @throws TwinwriteError `MongoAhead` where there is no way back
 */
async function takeBack({ mongo }: Stores, update: UpdateInHand, claim: Claim): Promise<void> {
  if (claim.form !== 'transaction') return;
  const fence = await mongoLeg.fenceMongo(mongo, update, claim);
  if (fence.at === 'fenced') return;
  throw new TwinwriteError('MongoAhead', { collection: LEDGER_COLLECTION, id: idOf(update.key) });
}
