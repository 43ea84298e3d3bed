import type { Pool, PoolClient } from 'pg';
import { DRIVE_WITHIN_MILLIS } from '../../domain/bounds';
import type { Form } from '../../domain/definition';
import { TwinwriteError } from '../../domain/errors';
import type { Json } from '../../domain/json';
import type { Outcome, Reason } from '../../domain/outcome';
import type { Claim, LedgerAnswer } from '../../domain/update-request';
import type { LedgerKey } from '../ledger-key';

/**
 * What is recorded with the claim, so that no later step asks a definition that a deploy may have
 * changed.
 */
export interface ClaimedPlan {
  readonly workflow: string;
  readonly form: Form;
  readonly undoable: boolean;
  readonly entities: readonly string[];
  readonly documents: readonly string[];
  readonly input: Json;
}

/** A row of the type `twinwrite.recollection`, which every function of the ledger answers with. */
interface Recollection {
  readonly answer: 'claimed' | 'forward' | 'undoing' | 'settled' | 'unknown';
  readonly state: 'queued' | 'applied' | 'undone' | 'refused' | 'fenced';
  readonly fingerprint: string;
  readonly ticket: string;
  readonly result: string | null;
  readonly reason: string | null;
  readonly form: Form;
  readonly undoable: boolean;
  readonly entities: string[];
  readonly documents: string[];
}

export type ClaimAnswer = { readonly at: 'claimed'; readonly claim: Claim } | LedgerAnswer;

type Queryable = Pick<PoolClient, 'query'> | Pick<Pool, 'query'>;

/** Claims the token for the leg of this transaction, or says what became of it (clause 3). */
export async function claim(
  client: Queryable,
  key: LedgerKey,
  plan: ClaimedPlan,
): Promise<ClaimAnswer> {
  const recollection = await call(client, 'claim', [
    key.definition,
    key.token,
    key.fingerprint,
    plan.workflow,
    plan.form,
    plan.undoable,
    plan.entities,
    plan.documents,
    JSON.stringify(plan.input),
    `${DRIVE_WITHIN_MILLIS} milliseconds`,
  ]);
  if (recollection.answer === 'claimed') return { at: 'claimed', claim: claimOf(recollection) };
  return answerOf(key, recollection);
}

/** What the ledger knows of the token, or nothing when it never heard of it. */
export async function recall(client: Queryable, key: LedgerKey): Promise<LedgerAnswer | undefined> {
  const recollection = await call(client, 'recall', [key.definition, key.token]);
  return recollection.answer === 'unknown' ? undefined : answerOf(key, recollection);
}

/** Records what `apply` returned, in the transaction of the claim. */
export async function recordResult(client: Queryable, key: LedgerKey, result: Json): Promise<void> {
  await client.query(
    /*sql*/ `update twinwrite.ledger set result = $3 where definition = $1 and token = $2`,
    [key.definition, key.token, JSON.stringify(result)],
  );
}

/**
 * Records a refusal by Postgres, after the leg's rollback. The first record wins: the answer may be
 * an outcome that somebody else recorded.
 */
export async function refuse(client: Queryable, key: LedgerKey, reason: Reason) {
  return answerOf(key, await call(client, 'refuse', [...identity(key), JSON.stringify(reason)]));
}

/** Decides that the update is undone, or that it never ran and never will (clause 5). */
export async function fence(client: Queryable, key: LedgerKey, reason: Reason) {
  return answerOf(key, await call(client, 'fence', [...identity(key), JSON.stringify(reason)]));
}

/**
 * Opens the undo, locking the token and then the entities. `undoing` with the ledger still at
 * applied means: undo it now.
 */
export async function beginUndo(client: Queryable, key: LedgerKey) {
  const recollection = await call(client, 'begin_undo', [key.definition, key.token]);
  const mustUndo = recollection.answer === 'undoing' && recollection.state === 'applied';
  return { mustUndo, answer: answerOf(key, recollection) };
}

export async function finishUndo(client: Queryable, key: LedgerKey) {
  return answerOf(key, await call(client, 'finish_undo', [key.definition, key.token]));
}

export async function resumeForward(client: Queryable, key: LedgerKey) {
  return answerOf(key, await call(client, 'resume_forward', [key.definition, key.token]));
}

/**
 * Ends the update forward, or undone once its undo is recorded. Whoever comes second reads what the
 * first one decided.
 */
export async function settle(client: Queryable, key: LedgerKey, ticket: string) {
  return answerOf(key, await call(client, 'settle', [key.definition, key.token, ticket]));
}

function identity(key: LedgerKey): string[] {
  return [key.definition, key.token, key.fingerprint];
}

type LedgerFunction =
  | 'claim'
  | 'recall'
  | 'refuse'
  | 'fence'
  | 'begin_undo'
  | 'finish_undo'
  | 'resume_forward'
  | 'settle';

async function call(
  client: Queryable,
  name: LedgerFunction,
  parameters: readonly unknown[],
): Promise<Recollection> {
  const placeholders = parameters.map((_, index) => `$${index + 1}`).join(', ');
  const answer = await client.query<Recollection>(
    /*sql*/ `select * from twinwrite.${name}(${placeholders})`,
    [...parameters],
  );
  const recollection = answer.rows[0];
  if (recollection === undefined) throw new Error(`twinwrite.${name} answered no row`);
  return recollection;
}

function answerOf(key: LedgerKey, recollection: Recollection): LedgerAnswer {
  const { answer, fingerprint } = recollection;
  if (answer === 'unknown') {
    const { definition, token } = key;
    throw new TwinwriteError('UnknownUpdate', { definition, token });
  }
  if (fingerprint !== key.fingerprint) {
    const { definition, token } = key;
    throw new TwinwriteError('TokenReused', { definition, token });
  }
  if (answer === 'settled') return { at: 'settled', outcome: outcomeOf(recollection) };
  const claimed = claimOf(recollection);
  if (answer === 'undoing') {
    return { at: 'undoing', claim: claimed, reason: reasonOf(recollection) };
  }
  return { at: 'forward', claim: claimed };
}

function outcomeOf(recollection: Recollection): Outcome<Json> {
  switch (recollection.state) {
    case 'applied':
      return { status: 'applied', result: resultOf(recollection) };
    case 'undone':
      return { status: 'compensated', reason: reasonOf(recollection) };
    default:
      return { status: 'refused', reason: reasonOf(recollection) };
  }
}

function claimOf(recollection: Recollection): Claim {
  const { ticket, form, undoable, entities, documents } = recollection;
  return { ticket, form, undoable, entities, documents, result: resultOf(recollection) };
}

function resultOf({ result }: Recollection): Json {
  return result === null ? null : (JSON.parse(result) as Json);
}

function reasonOf({ reason }: Recollection): Reason {
  if (reason === null) throw new Error('an update that was not applied has a reason recorded');
  return JSON.parse(reason) as Reason;
}
