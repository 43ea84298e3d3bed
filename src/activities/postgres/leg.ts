import type { Pool, PoolClient } from 'pg';
import { shareMillis } from '../../domain/bounds';
import { isTwinwriteError, type TwinwriteError } from '../../domain/errors';
import type { Json } from '../../domain/json';
import type { Reason } from '../../domain/outcome';
import type { Claim, LedgerAnswer } from '../../domain/update-request';
import { assertExpected, claimExpecting } from '../expectations';
import { readImages } from '../image';
import type { LedgerKey } from '../ledger-key';
import { recordableResult } from '../recordable-result';
import { refuseByDefinition } from '../refusal';
import type { UpdateInHand } from '../update-in-hand';
import { lendClient } from './callback-client';
import { refusalOf } from './errors';
import type { LedgerReply } from './ledger';
import * as ledger from './ledger';
import { inTransaction } from './transaction';

export interface PostgresStore {
  readonly pool: Pool;
  /** Tells these workflows that their turn may have come. It never fails, and returns at once. */
  readonly callTurns: (workflows: readonly string[]) => void;
}

/**
 * The Postgres half of an update's protocol.
 *
 * 1. The claim is the first statement of the leg's transaction; whoever does not win it runs
 *    nothing (clause 3).
 * 2. The result is recorded, and every projected document is known to be writable, before COMMIT:
 *    what cannot be finished is not begun (clause 2).
 * 3. Any error of COMMIT is in doubt; the next attempt's claim resolves it (clause 4).
 * 4. A refusal is recorded after its rollback, and the first record wins (clause 6).
 * 5. What the caller expects is judged under the locks of the claim, before `apply`; an expectation
 *    that is not met leaves no trace.
 * 6. Whoever is called has its turn by a commit: it is called after it, through the client. A call
 *    that is lost is made again (F20, F23).
 */
export async function applyPostgres(
  store: PostgresStore,
  update: UpdateInHand,
): Promise<LedgerAnswer> {
  const invalid = await update.findInvalidInput();
  try {
    return await inLedger(store, update, (client) => claimAndApply(client, update, invalid));
  } catch (error) {
    if (isTwinwriteError(error, 'VersionConflict')) return await withdraw(store, update, error);
    const reason = refusalOf(error);
    if (reason === undefined) throw error;
    return await inLedger(store, update, (client) =>
      ledger.refuse(client, update.key, reason, update.driver),
    );
  }
}

/** A transaction on the ledger; whom it calls is called once it is committed. */
async function inLedger<Answer>(
  { pool, callTurns }: PostgresStore,
  { timeoutMillis, definition }: UpdateInHand,
  work: (client: PoolClient) => Promise<{ answer: Answer; turns: readonly string[] }>,
  share: 'postgres' | 'afterPrecheck' | 'settle' = definition.precheck === undefined
    ? 'postgres'
    : 'afterPrecheck',
): Promise<Answer> {
  const bounds = { timeoutMillis: shareMillis(share, timeoutMillis) };
  const { answer, turns } = await inTransaction(pool, bounds, work);
  if (turns.length > 0) callTurns(turns);
  return answer;
}

async function claimAndApply(
  client: PoolClient,
  update: UpdateInHand,
  invalid: Error | undefined,
): Promise<LedgerReply> {
  const { definition, key } = update;
  const claimed = await claimToken(client, update, invalid);
  if (claimed.at !== 'claimed') return withoutTurns(claimed);
  await assertExpected(client, update, claimed);
  const input = await update.input();
  const returned: unknown = await lendClient(definition.name, client, (lent) =>
    definition.postgres.apply({ client: lent, input, refuse: refuseByDefinition }),
  );
  const result = recordableResult(returned);
  await readImages(client, await update.documents(claimed.claim.documents));
  const finished = { ...claimed, claim: { ...claimed.claim, result } };
  return await ledger.finishLeg(client, key, finished, update.driver);
}

/**
 * An input that this build refuses begins nothing. A token that the ledger knows is answered, or
 * has its turn, all the same: a schema tightened by a deploy refuses nothing that is in flight.
 */
async function claimToken(client: PoolClient, update: UpdateInHand, invalid: Error | undefined) {
  const { key, definition } = update;
  if (invalid === undefined) {
    const plan = await update.plan();
    if (plan.expected === undefined) return await ledger.claim(client, key, plan);
    return await claimExpecting(client, key, plan, plan.expected);
  }
  const known = await ledger.claimKnown(client, key, definition.legTimeoutMillis);
  if (known === undefined) throw invalid;
  return known;
}

/**
 * Leaves no trace of an update whose expectation is not met: its claim is rolled back already, and
 * its place in the queue is given up here. The same token may come again.
 */
async function withdraw(
  store: PostgresStore,
  update: UpdateInHand,
  conflict: TwinwriteError<'VersionConflict'>,
): Promise<LedgerAnswer> {
  const answer = await inLedger(store, update, (client) =>
    ledger.withdraw(client, update.key, update.driver),
  );
  if (answer === undefined) throw conflict;
  return answer;
}

function withoutTurns(answer: LedgerAnswer): LedgerReply {
  return { answer, turns: [] };
}

/** Makes sure that the leg never runs after this, or finds that it ran (clause 5). */
export async function fencePostgres(
  store: PostgresStore,
  update: UpdateInHand,
  reason: Reason,
): Promise<LedgerAnswer> {
  return await inLedger(store, update, (client) =>
    ledger.fence(client, update.key, reason, update.driver),
  );
}

/** Undoes the leg at most once, as a new version of its documents. */
export async function undoPostgres(
  store: PostgresStore,
  update: UpdateInHand,
): Promise<LedgerAnswer> {
  return await inLedger(store, update, async (client) => {
    const { mustUndo, answer } = await ledger.beginUndo(client, update.key);
    if (!mustUndo || answer.at !== 'undoing') return withoutTurns(answer);
    await runUndo(client, update, answer.claim.result);
    return await ledger.finishUndo(client, update.key);
  });
}

async function runUndo(client: PoolClient, update: UpdateInHand, result: Json): Promise<void> {
  const { definition } = update;
  const input = await update.input();
  const undo = definition.postgres.undo;
  if (undo === undefined) throw update.withoutUndo();
  await lendClient(definition.name, client, (lent) => undo({ client: lent, input, result }));
}

export async function resumeForward(
  store: PostgresStore,
  update: UpdateInHand,
): Promise<LedgerAnswer> {
  return await inLedger(store, update, async (client) =>
    withoutTurns(await ledger.resumeForward(client, update.key)),
  );
}

/** Ends the update, forward or undone: the last thing that happens to it (clause 5). */
export async function settle(
  store: PostgresStore,
  update: UpdateInHand,
  claim: Claim,
): Promise<LedgerAnswer> {
  return await inLedger(
    store,
    update,
    (client) => ledger.settle(client, update.key, claim),
    'settle',
  );
}

const PARK_WITHIN_MILLIS = 500;
const MAX_WHY_CHARACTERS = 1_000;

/**
 * Notes in the ledger that the update needs somebody: for those who look there. The workflow waits
 * whether or not it could be noted.
 */
export async function notePark(
  { pool }: PostgresStore,
  key: Pick<LedgerKey, 'definition' | 'token'>,
  why: string,
): Promise<void> {
  const bounds = { timeoutMillis: PARK_WITHIN_MILLIS };
  const text = why.slice(0, MAX_WHY_CHARACTERS);
  await inTransaction(pool, bounds, (client) => ledger.park(client, key, text)).catch(() => {});
}
