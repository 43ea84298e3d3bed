import type { Pool, PoolClient } from 'pg';
import { driveWithinMillis } from '../../domain/bounds';
import type { Form } from '../../domain/definition';
import { TwinwriteError } from '../../domain/errors';
import type { ExpectedVersions } from '../../domain/expectation';
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
  /** How long a leg may take: by when the update is overdue goes by it. */
  readonly legTimeoutMillis?: number;
  /** What the caller has read of the documents, if it said so. */
  readonly expected?: ExpectedVersions | undefined;
}

/** A row of the type `twinwrite.ledger_reply`, which every function of the ledger answers with. */
export interface LedgerRow {
  readonly answer: 'claimed' | 'waiting' | 'forward' | 'undoing' | 'settled' | 'unknown';
  readonly state: 'queued' | 'applied' | 'undone' | 'refused' | 'fenced';
  readonly fingerprint: string;
  readonly ticket: string;
  readonly result: string | null;
  readonly reason: string | null;
  readonly form: Form;
  readonly undoable: boolean;
  readonly entities: string[];
  readonly documents: string[];
  readonly workflow: string;
  /** It had waited in the queue. */
  readonly by_turn: boolean | null;
  /** The workflows whose turn may have come by this, to be called after the commit. */
  readonly turns: string[] | null;
}

/** The leg is this transaction's to run. */
export interface Claimed {
  readonly at: 'claimed';
  readonly claim: Claim;
  /** It waited for its turn: its end is told to the ledger, which may have to hand the turn on. */
  readonly byTurn: boolean;
}

/**
 * What a change of the ledger answers, and whom it calls: once it is committed, not before. The
 * driver that asks for the change is a workflow, which is not called by what it does itself.
 */
export interface LedgerReply {
  readonly answer: LedgerAnswer;
  readonly turns: readonly string[];
}

type Queryable = Pick<PoolClient, 'query'> | Pick<Pool, 'query'>;

/**
 * Claims the token for the leg of this transaction, or says what became of it (clause 3). Where an
 * entity is held it joins the queue, which is committed as well (clause 7).
 */
export async function claim(
  client: Queryable,
  key: LedgerKey,
  plan: ClaimedPlan,
): Promise<Claimed | LedgerAnswer> {
  return claimAnswerOf(key, await call(client, 'claim_or_wait', claimParametersOf(key, plan)));
}

export function claimParametersOf(key: LedgerKey, plan: ClaimedPlan): unknown[] {
  return [
    ...identity(key),
    plan.workflow,
    plan.form,
    plan.undoable,
    plan.entities,
    plan.documents,
    JSON.stringify(plan.input),
    dueIn(plan.legTimeoutMillis),
  ];
}

/**
 * Takes an update that waits out of the queue, without a trace. Nothing is answered where there is
 * none any more; one that is further stays, and the answer says where it is.
 */
export async function withdraw(client: Queryable, key: LedgerKey, driver: string) {
  const row = await call(client, 'withdraw', [...identity(key), driver]);
  if (row.answer === 'unknown') return { answer: undefined, turns: row.turns ?? [] };
  return replyOf(key, row);
}

/** Records a refusal if the token is nobody's yet; answers what is recorded. */
export async function refuseFirst(
  client: Queryable,
  key: LedgerKey,
  reason: Reason,
): Promise<LedgerAnswer> {
  const parameters = [...identity(key), JSON.stringify(reason)];
  return answerOf(key, await call(client, 'refuse_first', parameters));
}

/** Claims a token that somebody has claimed before; nothing when the ledger never heard of it. */
export async function claimKnown(
  client: Queryable,
  key: LedgerKey,
  legTimeoutMillis?: number,
): Promise<Claimed | LedgerAnswer | undefined> {
  const parameters = [...identity(key), dueIn(legTimeoutMillis)];
  const row = await call(client, 'claim_again', parameters);
  return row.answer === 'unknown' ? undefined : claimAnswerOf(key, row);
}

/**
 * Records what `apply` returned, as the last statement of the leg: it may hand a turn on, and locks
 * those whom it calls.
 */
export async function finishLeg(
  client: Queryable,
  key: LedgerKey,
  { claim: claimed, byTurn }: Pick<Claimed, 'claim' | 'byTurn'>,
  driver: string,
): Promise<LedgerReply> {
  const { rows } = await client.query<{ turns: string[] }>(
    /*sql*/ `select twinwrite.finish_leg($1, $2, $3, $4, $5) as turns`,
    [key.definition, key.token, JSON.stringify(claimed.result), driver, byTurn],
  );
  return { answer: { at: 'forward', claim: claimed }, turns: rows[0]?.turns ?? [] };
}

/**
 * Records a refusal by Postgres, after the leg's rollback. The first record wins: the answer may be
 * an outcome that somebody else recorded.
 */
export async function refuse(client: Queryable, key: LedgerKey, reason: Reason, driver: string) {
  const parameters = [...identity(key), driver, JSON.stringify(reason)];
  return replyOf(key, await call(client, 'refuse', parameters));
}

/** Decides that the update is undone, or that it never ran and never will (clause 5). */
export async function fence(client: Queryable, key: LedgerKey, reason: Reason, driver: string) {
  const parameters = [...identity(key), driver, JSON.stringify(reason)];
  return replyOf(key, await call(client, 'fence', parameters));
}

/**
 * Opens the undo, locking the token and then the entities. `undoing` with the ledger still at
 * applied means: undo it now.
 */
export async function beginUndo(client: Queryable, key: LedgerKey) {
  const row = await call(client, 'open_undo', [key.definition, key.token]);
  const mustUndo = row.answer === 'undoing' && row.state === 'applied';
  return { mustUndo, answer: answerOf(key, row) };
}

export async function finishUndo(client: Queryable, key: LedgerKey) {
  return replyOf(key, await call(client, 'conclude_undo', [key.definition, key.token]));
}

export async function resumeForward(client: Queryable, key: LedgerKey) {
  return answerOf(key, await call(client, 'go_forward', [key.definition, key.token]));
}

/**
 * Ends the update: forward, or undone once its undo is recorded, as the claim that MongoDB was
 * written for says. Whoever comes second reads what the first one decided.
 */
export async function settle(client: Queryable, key: LedgerKey, { ticket, undone }: Claim) {
  const parameters = [key.definition, key.token, ticket, undone === true];
  return replyOf(key, await call(client, 'settle', parameters));
}

/** Whether the ledger ever heard of the token: one that it had may be lost in a restore. */
export async function knows(
  client: Queryable,
  { definition, token }: Pick<LedgerKey, 'definition' | 'token'>,
): Promise<boolean> {
  const found = await client.query(
    /*sql*/ `select from twinwrite.ledger where definition = $1 and token = $2`,
    [definition, token],
  );
  return found.rowCount === 1;
}

/** Says that the update needs somebody, and why. */
export async function park(
  client: Queryable,
  key: Pick<LedgerKey, 'definition' | 'token'>,
  why: string,
): Promise<void> {
  const parameters = [key.definition, key.token, why];
  await client.query(/*sql*/ `select twinwrite.park($1, $2, $3)`, parameters);
}

function dueIn(legTimeoutMillis: number | undefined): string {
  return `${driveWithinMillis(legTimeoutMillis)} milliseconds`;
}

function identity(key: LedgerKey): string[] {
  return [key.definition, key.token, key.fingerprint];
}

type LedgerFunction =
  | 'claim_or_wait'
  | 'claim_again'
  | 'refuse'
  | 'refuse_first'
  | 'withdraw'
  | 'fence'
  | 'open_undo'
  | 'conclude_undo'
  | 'go_forward'
  | 'settle';

async function call(
  client: Queryable,
  name: LedgerFunction,
  parameters: readonly unknown[],
): Promise<LedgerRow> {
  const placeholders = parameters.map((_, index) => `$${index + 1}`).join(', ');
  const answer = await client.query<LedgerRow>(
    /*sql*/ `select * from twinwrite.${name}(${placeholders})`,
    [...parameters],
  );
  const row = answer.rows[0];
  if (row === undefined) throw new Error(`twinwrite.${name} answered no row`);
  return row;
}

export function claimAnswerOf(key: LedgerKey, row: LedgerRow): Claimed | LedgerAnswer {
  if (row.answer !== 'claimed') return answerOf(key, row);
  assertFingerprint(key, row);
  return { at: 'claimed', claim: claimOf(row), byTurn: row.by_turn === true };
}

function replyOf(key: LedgerKey, row: LedgerRow): LedgerReply {
  return { answer: answerOf(key, row), turns: row.turns ?? [] };
}

function answerOf(key: LedgerKey, row: LedgerRow): LedgerAnswer {
  const { answer, workflow } = row;
  if (answer === 'unknown') {
    const { definition, token } = key;
    throw new TwinwriteError('UnknownUpdate', { definition, token });
  }
  assertFingerprint(key, row);
  if (answer === 'settled') return { at: 'settled', outcome: outcomeOf(row) };
  if (answer === 'waiting') return { at: 'waiting', workflow };
  const claimed = claimOf(row);
  if (answer === 'undoing') {
    return { at: 'undoing', claim: claimed, reason: reasonOf(row) };
  }
  return { at: 'forward', claim: claimed };
}

function assertFingerprint(key: LedgerKey, { fingerprint }: LedgerRow): void {
  if (fingerprint === key.fingerprint) return;
  const { definition, token } = key;
  throw new TwinwriteError('TokenReused', { definition, token });
}

function outcomeOf(row: LedgerRow): Outcome<Json> {
  switch (row.state) {
    case 'applied':
      return { status: 'applied', result: resultOf(row) };
    case 'undone':
      return { status: 'compensated', reason: reasonOf(row) };
    default:
      return { status: 'refused', reason: reasonOf(row) };
  }
}

function claimOf(row: LedgerRow): Claim {
  const { ticket, form, undoable, entities, documents } = row;
  return { ticket, form, undoable, entities, documents, result: resultOf(row) };
}

function resultOf({ result }: LedgerRow): Json {
  return result === null ? null : (JSON.parse(result) as Json);
}

function reasonOf({ reason }: LedgerRow): Reason {
  if (reason === null) throw new Error('an update that was not applied has a reason recorded');
  return JSON.parse(reason) as Reason;
}
