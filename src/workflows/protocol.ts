import type { Json } from '../domain/json';
import type { Outcome, Reason } from '../domain/outcome';
import type { Claim, LedgerAnswer, Undoing, UpdateSteps } from '../domain/update-request';

const FENCED: Reason = {
  code: 'RefusedByMongo',
  message: 'MongoDB had taken it back already',
};

/** The steps, bound to one request, and the one thing that a driver waits for. */
export type BoundSteps = UpdateSteps & {
  /** Resolves once the update was called since its last claim; at once if it was called during it. */
  awaitTurn(): Promise<void>;
};

/**
 * Drives one update to its outcome. Pure: whatever can run the steps can drive, and any number of
 * drivers may drive the same token at once.
 *
 * 1. Nothing is concluded from what this driver did or did not see: every outcome is read from the
 *    ledger (clause 5, F8).
 * 2. Postgres decides first. Once it has committed the way is forward, until MongoDB refuses for
 *    good (clause 6).
 * 3. One compare-and-set decides between forward and undoing; whoever loses follows the winner
 *    (F9).
 * 4. A compensation runs where its caller cannot be cancelled, and its steps are retried without a
 *    deadline.
 * 5. Waiting for a turn holds nothing. Being called says no more than to claim again: the ledger
 *    knows whose turn it is (clause 7).
 */
export async function driveForward(steps: BoundSteps): Promise<Outcome<Json>> {
  return await follow(steps, await steps.applyPostgres());
}

/**
 * Undoes the update, or makes sure that it never happens; answers what the fence found, which may
 * be that it was applied long ago.
 */
export async function driveBack(steps: BoundSteps, reason: Reason): Promise<Outcome<Json>> {
  return await follow(steps, await steps.fencePostgres(reason));
}

/** Goes on from what the ledger says, whoever has brought it there. */
async function follow(steps: BoundSteps, answer: LedgerAnswer): Promise<Outcome<Json>> {
  switch (answer.at) {
    case 'settled':
      return answer.outcome;
    case 'waiting':
      await steps.awaitTurn();
      return await driveForward(steps);
    case 'forward':
      return await finishForward(steps, answer.claim);
    case 'undoing':
      return await compensate(steps, answer);
  }
}

async function finishForward(steps: BoundSteps, claim: Claim): Promise<Outcome<Json>> {
  const mongo = await steps.applyMongo(claim);
  switch (mongo.at) {
    case 'refused':
      return await driveBack(steps, mongo.reason);
    case 'fencedOut':
      return await followFence(steps);
    default:
      return await follow(steps, mongo);
  }
}

/**
 * Whoever fenced MongoDB has decided in Postgres before: claiming again answers what. Should it
 * answer forward, then drivers of two builds disagreed on whether MongoDB has an undo; what is
 * fenced there stays so, and the only way that both stores can go is back.
 */
async function followFence(steps: BoundSteps): Promise<Outcome<Json>> {
  const answer = await steps.applyPostgres();
  if (answer.at === 'forward') return await driveBack(steps, FENCED);
  return await follow(steps, answer);
}

async function compensate(steps: BoundSteps, { claim }: Undoing): Promise<Outcome<Json>> {
  if (claim.form === 'transaction') return await compensateTransaction(steps, claim);
  const answer = await steps.undoPostgres();
  if (answer.at !== 'undoing') return await follow(steps, answer);
  // The image of after the undo, at its new version, is the fence in MongoDB: an earlier image that
  // arrives late meets a later version. There is no way back from a way back: refused now, it is
  // parked.
  return await finishForward(steps, { ...answer.claim, undoable: false, undone: true });
}

async function compensateTransaction(steps: BoundSteps, claim: Claim): Promise<Outcome<Json>> {
  const mongo = await steps.fenceMongo(claim);
  if (mongo.at === 'applied') return await follow(steps, await steps.resumeForward());
  return await follow(steps, await steps.undoPostgres());
}
