import type { z } from 'zod';
import { readClientConfig } from '../config';
import type { AnyCrossStoreUpdate, CrossStoreUpdate, InputOf } from '../domain/definition';
import { TwinwriteError } from '../domain/errors';
import { fingerprintOf } from '../domain/fingerprint';
import { type Admission, admit } from './admission';
import { startOf } from './start-options';

/**
 * Runs one statement in the caller's transaction, through whatever the caller has: `sql` has the
 * one placeholder `$1`, for the one text in `parameters`. It answers what the driver answers, the
 * rows or an object that has them in `rows`.
 *
 * - pg: `(sql, parameters) => client.query(sql, parameters)`
 * - Kysely: `(sql, parameters) => transaction.executeQuery(CompiledQuery.raw(sql, parameters))`
 * - Prisma: `(sql, parameters) => transaction.$queryRawUnsafe(sql, ...parameters)`
 * - Drizzle, whose raw SQL has no placeholders:
 *   `(text, [start]) => { const [before, after] = text.split('$1');
 *   return transaction.execute(sql.raw(before).append(sql`${start}`).append(sql.raw(after))) }`
 */
export type Execute = (sql: string, parameters: [string]) => Promise<unknown>;

export interface EnlistOptions {
  /**
   * The task queue of the pool of workers. `TWINWRITE_TASK_QUEUE`, or `twinwrite`, unless given. A
   * worker of that task queue, on this very database, starts the update.
   */
  readonly taskQueue?: string;
}

export interface SubmitInTransactionOptions extends EnlistOptions {
  /**
   * A token for this call instead of the definition's own. At most 200 characters, and the same on
   * every retry.
   */
  readonly token?: string;
}

declare const RESULT: unique symbol;

/**
 * An update that is started once its transaction is committed: plain data. `twinwrite.handle` takes
 * it, to wait for the outcome.
 */
export interface Enlisted<Result = unknown> {
  readonly definition: string;
  readonly token: string;
  /** For the compiler only: nothing is there. */
  readonly [RESULT]?: Result;
}

/**
 * Enlists the start of an update in the caller's own PostgreSQL transaction: rolled back, it is
 * never started; committed, it is started exactly once, whatever dies in between (a transactional
 * outbox). It needs no Temporal: while that is away, updates wait in the table. A worker starts
 * them in milliseconds otherwise, and `twinwrite.enlisted` shows those that wait.
 *
 * What may still happen: the start is late; a token that is known with another input to nobody but
 * Temporal at this moment is found out by the worker only, which parks the start and says so; an
 * input that the worker's schema refuses, being of another build, ends as `InvalidInput` for those
 * who wait for the outcome. The update runs after the commit, in transactions of its own, so that
 * it may see later changes than the caller's.
 *
 * The caller holds the token until its transaction ends: whoever enlists the same one meanwhile
 * waits, and two callers that enlist the same tokens in opposite order deadlock. Enlist several in
 * one call of `submitManyInTransaction`, which sorts them. A commit that enlists something new
 * notifies, for which PostgreSQL takes a lock on the whole database: such commits run one by one.
 *
 * In a transaction of a stricter isolation than READ COMMITTED, a token that somebody enlisted
 * meanwhile is a serialization failure (40001), as any other conflict there is.
 *
 * @see https://microservices.io/patterns/data/transactional-outbox.html for the pattern
 * @throws TwinwriteError `InvalidInput` and `TokenReused` with nothing enlisted;
 * `InvalidConfiguration` when `execute` answers no rows, and whatever `execute` throws: roll the
 * transaction back then
 */
export async function submitInTransaction<Schema extends z.ZodType, Result>(
  execute: Execute,
  definition: CrossStoreUpdate<Schema, Result>,
  input: InputOf<Schema>,
  options: SubmitInTransactionOptions = {},
): Promise<Enlisted<Result>> {
  const admission = await admitOrRefuse(definition, input, options.token);
  return await enlist<Result>(execute, definition, [admission], options).then(
    ([enlisted]) => enlisted as Enlisted<Result>,
  );
}

/**
 * Enlists many updates of one definition in one statement, all of them or none, in the order of
 * their tokens: callers with the same tokens wait for each other and do not deadlock. The answer is
 * in the order of the inputs. Everything else is as for `submitInTransaction`.
 *
 * @throws as `submitInTransaction`, for the first input that is refused
 */
export async function submitManyInTransaction<Schema extends z.ZodType, Result>(
  execute: Execute,
  definition: CrossStoreUpdate<Schema, Result>,
  inputs: readonly InputOf<Schema>[],
  options: EnlistOptions = {},
): Promise<readonly Enlisted<Result>[]> {
  const admissions: Admission[] = [];
  for (const input of inputs) admissions.push(await admitOrRefuse(definition, input, undefined));
  return admissions.length === 0 ? [] : await enlist(execute, definition, admissions, options);
}

/**
 * An input that this build refuses is refused, even where an earlier one let it in: that update
 * goes on by itself, and nothing has to be enlisted for it.
 */
async function admitOrRefuse(
  definition: AnyCrossStoreUpdate,
  input: unknown,
  token: string | undefined,
): Promise<Admission> {
  const admission = await admit(definition, input, token);
  if (admission.refusal !== undefined) throw admission.refusal;
  return admission;
}

const ENLIST = /*sql*/ `select twinwrite.enlist($1::text) as answer`;

async function enlist<Result>(
  execute: Execute,
  definition: AnyCrossStoreUpdate,
  admissions: readonly Admission[],
  { taskQueue = readClientConfig().taskQueue }: EnlistOptions,
): Promise<readonly Enlisted<Result>[]> {
  const starts = admissions.map((admission) => ({
    ...startOf(definition, admission),
    // As text: JSON's null would become SQL's.
    input: JSON.stringify(admission.input),
    fingerprint: fingerprintOf(admission.input),
    taskQueue,
  }));
  const [reused] = reusedOf(await execute(ENLIST, [JSON.stringify(starts)]));
  if (reused !== undefined) {
    const { token } = admissions[reused] as Admission;
    throw new TwinwriteError('TokenReused', { definition: definition.name, token });
  }
  return admissions.map(({ token }) => ({ definition: definition.name, token }));
}

/** The places of those whose tokens stand for another input. */
function reusedOf(result: unknown): readonly number[] {
  const rows: unknown = Array.isArray(result)
    ? result
    : (result as { rows?: unknown } | null)?.rows;
  const row: unknown = Array.isArray(rows) ? rows[0] : undefined;
  // A driver may answer rows as objects or as arrays, and name the column as it likes.
  const answer: unknown =
    typeof row === 'object' && row !== null ? Object.values(row)[0] : undefined;
  if (typeof answer === 'string') return JSON.parse(answer) as readonly number[];
  throw new TwinwriteError('InvalidConfiguration', {
    problem:
      'The `execute` of submitInTransaction did not answer the rows of its statement, so nobody knows whether the update is enlisted: roll the transaction back. Return what the driver answers, as rows or as an object with `rows`.',
  });
}
