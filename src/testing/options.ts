import type { MongoClient } from 'mongodb';
import type { Pool } from 'pg';
import type { AnyCrossStoreUpdate } from '../domain/definition';
import { TwinwriteError } from '../domain/errors';
import type { Ignores } from './differences';

/** What `checkDefinition` runs a definition with. */
export interface CheckOptions<Input = unknown> {
  /**
   * Inputs that are to be applied, each from the state that the databases are in. Two or more with
   * tokens of their own show the most.
   */
  readonly inputs: readonly Input[];
  /**
   * Inputs that are not to be applied: refused by the schema, by Postgres, by `refuse`, or by
   * MongoDB. None unless given.
   */
  readonly refused?: readonly unknown[];
  /**
   * Updates that are applied first, in this order, so that what the samples build on is in both
   * stores. None unless given.
   */
  readonly given?: readonly { readonly update: AnyCrossStoreUpdate; readonly input: unknown }[];
  /** The application's pool, to a test database that nobody else uses meanwhile; 3 connections or more. */
  readonly postgres: Pool;
  /** The application's client; its URI names a test database that nobody else uses meanwhile. */
  readonly mongo: MongoClient;
  /**
   * What may differ after an undo or a crash, and rightly: `stock.updated_at`, or `audit` for a
   * whole table or collection. What differs between two runs that nothing disturbs, such as a clock
   * or a random key, is left out by itself, but for the undo. None unless given.
   */
  readonly ignore?: readonly string[];
  /**
   * Names the databases that may be written to, where their names do not have "test" in them. A
   * check writes, deletes and restores.
   */
  readonly mayOverwrite?: readonly string[];
}

/** More than this is no test database, and would take for ever. In each store. */
export const MAX_ROWS = 10_000;

/**
 * Says what is wrong with the options, which may come from plain JavaScript.
 *
 * @throws TwinwriteError `InvalidConfiguration`
 */
export function assertOptions(definition: AnyCrossStoreUpdate, options: CheckOptions): void {
  const problem = findOptionsProblem(definition, options);
  if (problem !== undefined) throw new TwinwriteError('InvalidConfiguration', { problem });
}

function findOptionsProblem(
  definition: AnyCrossStoreUpdate,
  options: CheckOptions,
): string | undefined {
  if (typeof definition?.form !== 'string') {
    return 'checkDefinition takes what defineCrossStoreUpdate returned.';
  }
  const { inputs, refused, given, ignore, mayOverwrite, postgres, mongo } = options ?? {};
  if (!Array.isArray(inputs) || inputs.length === 0) {
    return 'checkDefinition needs at least one sample that is applied: checkDefinition(placeOrder, { inputs: [{ … }], … }).';
  }
  const lists = { refused, given, ignore, mayOverwrite };
  for (const [name, list] of Object.entries(lists)) {
    if (list !== undefined && !Array.isArray(list)) return `\`${name}\` is a list, or left out.`;
  }
  if (typeof postgres?.connect !== 'function') return '`postgres` is a Pool of pg.';
  if ((postgres.options.max ?? 10) < 3) {
    return '`postgres` is a pool of at least 3 connections: one keeps other checks out, one looks while one works.';
  }
  if (typeof mongo?.db !== 'function') return '`mongo` is a MongoClient.';
  return undefined;
}

/** `shop_test`, `test-2`, `shopTest`; not `latest`. */
const FOR_TESTS = /(?:^|[^A-Za-z])(?:test|TEST)|Test/;

/**
 * A check writes to the databases and puts back what it found: whatever is no test database has to
 * be named by hand.
 *
 * @throws TwinwriteError `InvalidConfiguration`
 */
export function assertMayOverwrite(
  databases: { readonly PostgreSQL: string; readonly MongoDB: string },
  mayOverwrite: readonly string[] = [],
): void {
  for (const [store, name] of Object.entries(databases)) {
    if (FOR_TESTS.test(name) || mayOverwrite.includes(name)) continue;
    const problem = `checkDefinition writes to the databases that it is given, and the name of "${name}" (${store}) does not say that it is for tests. Give it one that is called test, or shop_test, or name this one: mayOverwrite: ["${name}"].`;
    throw new TwinwriteError('InvalidConfiguration', { problem });
  }
}

/** A table, a column of one, or what lies below a path of a document. */
export function ignoring(entries: readonly string[] = []): Ignores {
  return (table, column) => {
    const full = `${table}.${column}`;
    return entries.some(
      (entry) =>
        entry === table ||
        full === entry ||
        (full.startsWith(entry) &&
          ['.', '['].includes(full.charAt(entry.length)) &&
          entry !== table),
    );
  };
}
