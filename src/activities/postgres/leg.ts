import type { Pool, PoolClient } from 'pg';
import { shareMillis } from '../../domain/bounds';
import type { Json } from '../../domain/json';
import type { Reason } from '../../domain/outcome';
import type { Claim, LedgerAnswer } from '../../domain/update-request';
import { readImages } from '../image';
import { recordableResult } from '../recordable-result';
import { RefusedError, refuseByDefinition } from '../refusal';
import type { UpdateInHand } from '../update-in-hand';
import { lendClient } from './callback-client';
import { isDatabaseError, reasonOf, verdictOf } from './errors';
import * as ledger from './ledger';
import { inTransaction } from './transaction';

/**
 * The Postgres half of an update's protocol.
 *
 * 1. The claim is the first statement of the leg's transaction; whoever does not win it runs
 *    nothing (clause 3).
 * 2. The result is recorded, and every projected document is known to be writable, before COMMIT:
 *    what cannot be finished is not begun (clause 2).
 * 3. Any error of COMMIT is in doubt; the next attempt's claim resolves it (clause 4).
 * 4. A refusal is recorded after its rollback, and the first record wins (clause 6).
 */
export async function applyPostgres(pool: Pool, update: UpdateInHand): Promise<LedgerAnswer> {
  const invalid = await update.findInvalidInput();
  // A token that the ledger knows is answered before its input is judged: a schema tightened by a
  // deploy refuses nothing that is in flight.
  if (invalid !== undefined) return await answerKnown(pool, update, invalid);
  try {
    return await inTransaction(pool, bounds(update), (client) => claimAndApply(client, update));
  } catch (error) {
    const reason = refusalOf(error);
    if (reason === undefined) throw error;
    return await inTransaction(pool, bounds(update), (client) =>
      ledger.refuse(client, update.key, reason),
    );
  }
}

async function claimAndApply(client: PoolClient, update: UpdateInHand): Promise<LedgerAnswer> {
  const { definition, key } = update;
  const claimed = await ledger.claim(client, key, await update.plan());
  if (claimed.at !== 'claimed') return claimed;
  const input = await update.input();
  const returned: unknown = await lendClient(definition.name, client, (lent) =>
    definition.postgres.apply({ client: lent, input, refuse: refuseByDefinition }),
  );
  const result = recordableResult(returned);
  await ledger.recordResult(client, key, result);
  await readImages(client, await update.documents(claimed.claim.documents));
  return { at: 'forward', claim: { ...claimed.claim, result } };
}

function bounds({ timeoutMillis }: UpdateInHand) {
  return { timeoutMillis: shareMillis('postgres', timeoutMillis) };
}

function refusalOf(error: unknown): Reason | undefined {
  if (error instanceof RefusedError) return error.reason;
  if (isDatabaseError(error) && verdictOf(error) === 'refusal') return reasonOf(error);
  return undefined;
}

/** Makes sure that the leg never runs after this, or finds that it ran (clause 5). */
export async function fencePostgres(
  pool: Pool,
  update: UpdateInHand,
  reason: Reason,
): Promise<LedgerAnswer> {
  return await inTransaction(pool, bounds(update), (client) =>
    ledger.fence(client, update.key, reason),
  );
}

/** Undoes the leg at most once, as a new version of its documents. */
export async function undoPostgres(pool: Pool, update: UpdateInHand): Promise<LedgerAnswer> {
  return await inTransaction(pool, bounds(update), async (client) => {
    const { mustUndo, answer } = await ledger.beginUndo(client, update.key);
    if (!mustUndo || answer.at !== 'undoing') return answer;
    await runUndo(client, update, answer.claim.result);
    return await ledger.finishUndo(client, update.key);
  });
}

async function runUndo(client: PoolClient, update: UpdateInHand, result: Json): Promise<void> {
  const { definition } = update;
  const input = await update.input();
  const undo = definition.postgres.undo;
  if (undo === undefined) {
    // The claim recorded an undo and this build has none: an older build, or a mistake. It waits
    // for the right one.
    throw new Error(`${definition.name} was claimed with an undo that this build does not have`);
  }
  await lendClient(definition.name, client, (lent) => undo({ client: lent, input, result }));
}

export async function resumeForward(pool: Pool, update: UpdateInHand): Promise<LedgerAnswer> {
  return await inTransaction(pool, bounds(update), (client) =>
    ledger.resumeForward(client, update.key),
  );
}

/** Ends the update, forward or undone: the last thing that happens to it (clause 5). */
export async function settle(
  pool: Pool,
  update: UpdateInHand,
  claim: Claim,
): Promise<LedgerAnswer> {
  const timeoutMillis = shareMillis('settle', update.timeoutMillis);
  return await inTransaction(pool, { timeoutMillis }, (client) =>
    ledger.settle(client, update.key, claim.ticket),
  );
}

async function answerKnown(
  pool: Pool,
  update: UpdateInHand,
  invalid: Error,
): Promise<LedgerAnswer> {
  const known = await inTransaction(pool, bounds(update), (client) =>
    ledger.recall(client, update.key),
  );
  if (known === undefined) throw invalid;
  return known;
}
