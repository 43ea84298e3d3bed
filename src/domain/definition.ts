import type { ClientSession, Collection, Db, Document } from 'mongodb';
import type { ClientBase } from 'pg';
import type { z } from 'zod';
import {
  DEFAULT_LEG_TIMEOUT_MILLIS,
  MAX_LEG_TIMEOUT_MILLIS,
  MIN_LEG_TIMEOUT_MILLIS,
} from './bounds';
import { isDefinitionName } from './definition-name';
import { TwinwriteError } from './errors';
import type { Json } from './json';
import type { DocumentReference } from './projection';

/**
 * The part of a `pg` client that a callback gets: it may ask and write, and leaves the transaction
 * to Twinwrite.
 */
export type PostgresClient = Pick<ClientBase, 'query'>;

/**
 * Ends the update as refused (in the precheck and the Postgres leg) or compensated (in the Mongo
 * leg), for a reason that no retry will change. It throws: nothing after it runs, and this leg's
 * writes are rolled back.
 *
 * @param reason for people; at most 1,000 characters of it are kept.
 * @param details for programs: plain JSON, as a result is, which the outcome's reason carries.
 */
export type Refuse = (reason: string, details?: Json) => never;

/**
 * The MongoDB half of a transaction-form leg: every operation must carry `session`, or it stands
 * outside the transaction.
 */
export interface MongoTransaction {
  readonly db: Db;
  readonly session: ClientSession;
}

/**
 * MongoDB for a precheck: it reads what a majority has, from the primary, and cannot write.
 */
export interface MongoReader {
  readonly collection: <Schema extends Document = Document>(
    name: string,
  ) => Pick<Collection<Schema>, 'find' | 'findOne' | 'countDocuments' | 'distinct'>;
}

/**
 * Looks at both stores before the token is claimed, and may refuse: then nothing was written in
 * either, and nobody waited in a queue for it. It never runs for a token that the ledger knows.
 *
 * It is advice and no judge: what it saw may have changed by the time of the claim, and no lock
 * keeps it. What must hold is decided in `apply`. It runs again with each attempt until the token
 * is claimed, and delays every update by its round trips. It has a quarter of `legTimeoutMillis`.
 *
 * PostgreSQL refuses every write in it, as a mistake in the definition (`TransactionMisused`).
 */
export type Precheck<Input> = (context: {
  /** One snapshot, for reading only. */
  readonly postgres: PostgresClient;
  readonly mongo: MongoReader;
  readonly input: Input;
  readonly refuse: Refuse;
}) => Promise<void>;

export interface PostgresLeg<Input, Result> {
  /**
   * Writes the Postgres half, in a transaction that Twinwrite opened and will commit (READ
   * COMMITTED). It runs again, from the beginning, whenever an attempt did not commit; so it has no
   * effects outside `client`. What it returns is plain JSON, recorded with the token, and answers
   * every duplicate.
   */
  readonly apply: (context: {
    readonly client: PostgresClient;
    readonly input: Input;
    readonly refuse: Refuse;
  }) => Promise<Result>;
  /**
   * Takes back what `apply` did, as a change of its own and in a transaction of its own. It runs
   * only when `apply` has committed, and takes effect at most once. Without it the update goes
   * forward only: a refusal by MongoDB parks it.
   */
  readonly undo?: (context: {
    readonly client: PostgresClient;
    readonly input: Input;
    readonly result: Result;
  }) => Promise<void>;
}

/** The MongoDB half, in one of its two forms. */
export type MongoLeg<Input, Result> = ProjectionLeg<Input> | TransactionLeg<Input, Result>;

/**
 * Postgres is the truth, and these documents are functions of it. The fast form: one conditional
 * write a document, no MongoDB transaction.
 */
export interface ProjectionLeg<Input> {
  readonly project: (input: Input) => readonly DocumentReference[];
  readonly transaction?: never;
}

/** Any writes, in one multi-document transaction together with the token's ledger document. */
export interface TransactionLeg<Input, Result> {
  readonly transaction: {
    readonly apply: (
      context: MongoTransaction & {
        readonly input: Input;
        readonly result: Result;
        readonly refuse: Refuse;
      },
    ) => Promise<void>;
    /**
     * Takes back what `apply` did. Runs only when `apply` has committed; takes effect at most once.
     */
    readonly undo?: (
      context: MongoTransaction & { readonly input: Input; readonly result: Result },
    ) => Promise<void>;
  };
  readonly project?: never;
}

/** What a user writes once for a kind of cross-store update. */
export interface CrossStoreUpdateOptions<Schema extends z.ZodType, Result> {
  /**
   * Names the kind in workflow ids, ledgers, logs and metrics. Letters, digits, `_`, `-` and `.`,
   * at most 50; never changed once in use.
   */
  readonly name: string;
  /**
   * Decides what is let in, in the client and again in the worker. Callbacks get what it makes of
   * the input; the wire carries what the caller gave.
   */
  readonly input: Schema;
  /**
   * The deduplication token: the same for every retry of one business change, another for every
   * other. At most 200 characters.
   */
  readonly token: (input: z.output<Schema>) => string;
  /**
   * What two updates must not interleave on (`stock:sku-7`), beside the projected documents, which
   * are entities by themselves.
   */
  readonly entities?: (input: z.output<Schema>) => readonly string[];
  /** Refuses early what it sees to be hopeless, before anything is claimed. */
  readonly precheck?: Precheck<z.output<Schema>>;
  readonly postgres: PostgresLeg<z.output<Schema>, Result>;
  readonly mongo: MongoLeg<z.output<Schema>, Result>;
  /**
   * How long one attempt of a leg may take, from the moment it has its connection. 1,000 to 60,000;
   * 4,000 unless given. The store's timeouts derive from it.
   */
  readonly legTimeoutMillis?: number;
}

/** A checked definition: hand it to `execute`, `submit` and `createWorker`. */
export interface CrossStoreUpdate<Schema extends z.ZodType = z.ZodType, Result = unknown>
  extends CrossStoreUpdateOptions<Schema, Result> {
  readonly form: Form;
  /**
   * Whether a refusal by MongoDB can be compensated: every leg that may have been applied has an
   * undo.
   */
  readonly undoable: boolean;
  readonly legTimeoutMillis: number;
}

// biome-ignore format: one line shows that every parameter is erased.
// oxlint-disable-next-line typescript/no-explicit-any -- a set of definitions has as many inputs and results as members; each was checked where it was defined.
export type AnyCrossStoreUpdate = CrossStoreUpdate<any, any>;

/** The plain input of a definition: what its schema takes, before defaults and transforms. */
export type InputOf<Schema extends z.ZodType> = z.input<Schema>;

/** The two forms of MongoDB leg, as the ledger records them. */
export type Form = 'projection' | 'transaction';

/**
 * What `apply` may return: a value that is the same after JSON. A type that is not becomes a
 * sentence that says what to return instead, which the compiler then shows. An `interface` without
 * an index signature is taken as well as a type. What no type can show, such as a lone surrogate,
 * is looked for when it is recorded.
 */
export type Recordable<Value> = unknown extends Value
  ? Value
  : Value extends Json | undefined | void
    ? Value
    : Value extends bigint
      ? 'A bigint cannot be recorded: return it as a string.'
      : Value extends Date
        ? 'A Date cannot be recorded: return its toISOString().'
        : Value extends ReadonlyMap<unknown, unknown> | ReadonlySet<unknown>
          ? 'A Map or a Set cannot be recorded: return an array of its entries.'
          : Value extends symbol | ((...parameters: never) => unknown)
            ? 'Functions, symbols and objects with methods cannot be recorded: return plain data.'
            : { readonly [Key in keyof Value]: Recordable<Value[Key]> };

/**
 * Stands beside the options, because a constraint on `Result` that names `Result` would be
 * circular. `never` keeps it out of the inference of `context`.
 */
interface Returning<Returned> {
  readonly postgres: { readonly apply: (context: never) => Promise<Returned> };
}

/**
 * Defines a kind of cross-store update. Every callback infers its `input` from the schema and its
 * `result` from what `postgres.apply` returns; write `apply` before `undo`, since inference reads
 * from top to bottom.
 *
 * @throws TwinwriteError `InvalidDefinition` when the definition cannot work, with what to change.
 */
export function defineCrossStoreUpdate<Schema extends z.ZodType, Result>(
  options: CrossStoreUpdateOptions<Schema, Result> & Returning<Recordable<Result>>,
): CrossStoreUpdate<Schema, Result> {
  const problem = findProblem(options as unknown as AnyOptions);
  if (problem !== undefined) {
    throw new TwinwriteError('InvalidDefinition', {
      definition: nameOf(options),
      problem,
    });
  }
  return Object.freeze({
    ...options,
    form: options.mongo.project === undefined ? 'transaction' : 'projection',
    undoable: options.postgres.undo !== undefined,
    legTimeoutMillis: options.legTimeoutMillis ?? DEFAULT_LEG_TIMEOUT_MILLIS,
  });
}

/** Definitions come from plain JavaScript too, where a name may be anything. */
function nameOf(options: unknown): string {
  const name = (options as { name?: unknown } | null)?.name;
  return typeof name === 'string' ? name : 'unnamed';
}

type AnyOptions = CrossStoreUpdateOptions<z.ZodType, unknown>;

function findProblem(options: AnyOptions): string | undefined {
  if (typeof options !== 'object' || options === null) return 'pass one object with its parts.';
  const { name, input, token, entities, precheck, postgres, mongo, legTimeoutMillis } = options;
  if (!isDefinitionName(name)) {
    return 'its name begins with a letter and has at most 50 letters, digits, "_", "-" and ".".';
  }
  if (typeof (input as { safeParseAsync?: unknown } | undefined)?.safeParseAsync !== 'function') {
    return '`input` is a zod 4 schema; import { z } from "zod" and describe the input with it.';
  }
  if (typeof token !== 'function') {
    return '`token` is a function of the input, such as (input) => input.orderId.';
  }
  if (entities !== undefined && typeof entities !== 'function') {
    return '`entities` is a function of the input that returns a list of strings.';
  }
  if (!isOptionalFunction(precheck)) return '`precheck` is a function, or left out.';
  if (typeof postgres?.apply !== 'function') return '`postgres.apply` is a function.';
  if (!isOptionalFunction(postgres.undo)) return '`postgres.undo` is a function, or left out.';
  if (legTimeoutMillis !== undefined && !isLegTimeout(legTimeoutMillis)) {
    return `legTimeoutMillis lies between ${MIN_LEG_TIMEOUT_MILLIS} and ${MAX_LEG_TIMEOUT_MILLIS}.`;
  }
  return findMongoProblem(mongo, postgres);
}

function findMongoProblem(
  mongo: MongoLeg<unknown, unknown>,
  postgres: PostgresLeg<unknown, unknown>,
): string | undefined {
  const hasProject = typeof mongo?.project === 'function';
  const hasTransaction = typeof mongo?.transaction?.apply === 'function';
  if (hasProject === hasTransaction) {
    return '`mongo` is either { project: (input) => [...] } or { transaction: { apply } }.';
  }
  if (!hasTransaction) return undefined;
  if (!isOptionalFunction(mongo.transaction?.undo)) {
    return '`mongo.transaction.undo` is a function, or left out.';
  }
  if (mongo.transaction?.undo !== undefined && postgres.undo === undefined) {
    return '`mongo.transaction.undo` needs a `postgres.undo`: one store alone is never undone.';
  }
  return undefined;
}

function isOptionalFunction(value: unknown): boolean {
  return value === undefined || typeof value === 'function';
}

function isLegTimeout(millis: unknown): boolean {
  return (
    typeof millis === 'number' &&
    millis >= MIN_LEG_TIMEOUT_MILLIS &&
    millis <= MAX_LEG_TIMEOUT_MILLIS
  );
}
