import type { PoolClient } from 'pg';
import { TwinwriteError } from '../domain/errors';
import type { ExpectedVersions, VersionConflict } from '../domain/expectation';
import { entityKeyOf } from '../domain/projection';
import type { LedgerAnswer } from '../domain/update-request';
import { readImages } from './image';
import type { LedgerKey } from './ledger-key';
import * as ledger from './postgres/ledger';
import type { UpdateInHand } from './update-in-hand';

/** What a caller expects, and what was found under the locks of the claim. */
interface Standing {
  readonly expected: ExpectedVersions;
  /** The versions that Postgres had when the locks were taken, by key. */
  readonly found: ExpectedVersions;
}

/** A claim, with what is still to be judged. What one that waited met is asked for by its ticket. */
type ClaimedExpecting = ledger.Claimed & Partial<Standing>;

/**
 * `ledger.claim` for a caller that expects versions. What it expects is recorded where it joins the
 * queue, so that whoever takes its turn will look; what has changed already is not waited for.
 *
 * @throws TwinwriteError `VersionConflict`: what the claim wrote is to be rolled back
 */
export async function claimExpecting(
  client: PoolClient,
  key: LedgerKey,
  plan: ledger.ClaimedPlan,
  expected: ExpectedVersions,
): Promise<ClaimedExpecting | LedgerAnswer> {
  const { rows } = await client.query<ledger.LedgerRow & { found: ExpectedVersions | null }>(
    /*sql*/ `select (claimed.reply).*, claimed.versions as found
      from twinwrite.claim_expecting($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) claimed`,
    [...ledger.claimParametersOf(key, plan), JSON.stringify(expected)],
  );
  const row = rows[0];
  if (row === undefined) throw new Error('twinwrite.claim_expecting answered no row');
  const answer = ledger.claimAnswerOf(key, row);
  const found = row.found ?? undefined;
  if (answer.at === 'claimed') return { ...answer, expected, ...(found && { found }) };
  if (answer.at === 'waiting' && found !== undefined) assertVersions(key, { expected, found });
  return answer;
}

/**
 * Makes sure, under the locks of a claim, that the documents are as the caller expects. A driver
 * that expects nothing itself goes by what was recorded when the update joined the queue.
 *
 * @throws TwinwriteError `VersionConflict`: what the claim wrote is to be rolled back
 */
export async function assertExpected(
  client: PoolClient,
  update: UpdateInHand,
  claimed: ClaimedExpecting,
): Promise<void> {
  const standing = await standingOf(client, claimed);
  if (standing === undefined) return;
  assertVersions(update.key, standing);
  const absent = Object.keys(standing.expected).filter((key) => standing.expected[key] === null);
  // Whether a document is there is for the projection to say: a version stays when it is gone.
  const images = await readImages(client, await update.documents(absent));
  const present = images.filter(({ image }) => image !== undefined);
  assertNone(
    update.key,
    present.map(({ reference }) => conflictAt(entityKeyOf(reference), standing)),
  );
}

async function standingOf(
  client: PoolClient,
  { byTurn, claim, expected, found }: ClaimedExpecting,
): Promise<Standing | undefined> {
  if (!byTurn) return expected && found && { expected, found };
  const { rows } = await client.query<Standing>(
    /*sql*/ `select expected, versions as found from twinwrite.expected_by($1, $2) where expected is not null`,
    [claim.ticket, expected === undefined ? null : JSON.stringify(expected)],
  );
  return rows[0];
}

/** The part of it that needs no image, which is known as soon as the locks are had. */
function assertVersions(key: LedgerKey, standing: Standing): void {
  const { expected, found } = standing;
  const changed = Object.keys(expected).filter(
    (document) => expected[document] !== null && expected[document] !== (found[document] ?? null),
  );
  assertNone(
    key,
    changed.map((document) => conflictAt(document, standing)),
  );
}

function conflictAt(document: string, { expected, found }: Standing): VersionConflict {
  return { document, expected: expected[document] ?? null, found: found[document] ?? null };
}

function assertNone({ definition, token }: LedgerKey, conflicts: readonly VersionConflict[]): void {
  if (conflicts.length === 0) return;
  throw new TwinwriteError('VersionConflict', { definition, token, conflicts });
}
