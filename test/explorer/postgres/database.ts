import { type Compiled, type CompiledTrigger, Compiler } from './compiler';
import { declare } from './declare';
import { Execution } from './execution';
import { Rows, Transaction } from './rows';
import { Schema } from './schema';
import type { Tuple } from './values';

/** What the migrations and the user's definitions make: the same for any number of databases. */
export class Blueprint {
  readonly schema = new Schema();
  readonly compiler: Compiler;
  readonly #types = new Map<string, ReadonlyMap<string, string>>();
  readonly #checks = new Map<string, readonly Check[]>();
  readonly #triggers = new Map<string, readonly CompiledTrigger[]>();
  readonly #beginnings: Compiled[] = [];

  constructor(texts: readonly string[]) {
    const others = texts.flatMap((text) => declare(this.schema, text));
    this.compiler = new Compiler(this.schema);
    this.#beginnings.push(...others.map((node) => this.compiler.statement(node)));
    for (const { name, columns, checks, triggers } of this.schema.tables.values()) {
      this.#types.set(name, new Map(columns.map((column) => [column.name, column.type])));
      const tests = checks.map((check) => ({
        name: check.name,
        test: this.compiler.condition(name, check.condition),
      }));
      this.#checks.set(name, tests);
      if (triggers.length === 0) continue;
      const compiled = triggers.map((trigger) => this.compiler.trigger(name, trigger));
      this.#triggers.set(name, compiled);
    }
  }

  create(clock: () => number): Database {
    const database = new Database(this, clock);
    database.runAtOnce(this.#beginnings);
    return database;
  }

  typeOf(table: string, column: string): string {
    return this.#types.get(table)?.get(column) ?? 'unknown';
  }

  triggersOf(table: string): readonly CompiledTrigger[] {
    return this.#triggers.get(table) ?? [];
  }

  failedCheck(table: string, tuple: Tuple): string | undefined {
    return this.#checks.get(table)?.find(({ test }) => test(tuple) === false)?.name;
  }
}

interface Check {
  readonly name: string;
  readonly test: (tuple: Tuple) => boolean | null;
}

/** The committed rows, and the transactions on them. */
export class Database {
  /** How many transactions have committed: the time of snapshots. */
  commits = 0;
  readonly #rows = new Map<string, Rows>();
  readonly #sequences = new Map<string, bigint>();

  constructor(
    readonly blueprint: Blueprint,
    readonly clock: () => number,
  ) {
    for (const [name, table] of blueprint.schema.tables) this.#rows.set(name, new Rows(table));
  }

  rows(table: string): Rows {
    const rows = this.#rows.get(table);
    if (rows === undefined) throw new Error(`the model of PostgreSQL has no table ${table}`);
    return rows;
  }

  /** The committed rows of a table, for whoever looks from outside. */
  committed(table: string): Tuple[] {
    return [...this.rows(table)].flatMap((row) => row.latest() ?? []);
  }

  nextval(sequence: string): bigint {
    const next = (this.#sequences.get(sequence) ?? 0n) + 1n;
    this.#sequences.set(sequence, next);
    return next;
  }

  typeOf(table: string, column: string): string {
    return this.blueprint.typeOf(table, column);
  }

  failedCheck(table: string, tuple: Tuple): string | undefined {
    return this.blueprint.failedCheck(table, tuple);
  }

  begin({ isSnapshot = false, isReadOnly = false } = {}): Transaction {
    return new Transaction(this.clock(), isSnapshot ? this.commits : undefined, isReadOnly);
  }

  commit(transaction: Transaction): void {
    this.commits += 1;
    for (const row of transaction.touched) {
      if (row.pending?.by === transaction) {
        row.committed.push({ at: this.commits, version: row.pending.version });
      }
    }
    this.#end(transaction);
  }

  rollback(transaction: Transaction): void {
    this.#end(transaction);
  }

  #end(transaction: Transaction): void {
    for (const row of transaction.touched) {
      if (row.pending?.by === transaction) row.pending = undefined;
      if (row.lockedBy === transaction) row.lockedBy = undefined;
    }
    transaction.touched.clear();
    transaction.hasEnded = true;
  }

  /** Statements that meet nobody, each committed. */
  runAtOnce(program: string | readonly Compiled[], parameters: readonly unknown[] = []): Tuple[] {
    const { compiler } = this.blueprint;
    let rows: Tuple[] = [];
    for (const compiled of typeof program === 'string' ? compiler.program(program) : program) {
      if (compiled.kind !== 'query') throw new Error(`not at once: ${compiled.kind}`);
      const transaction = this.begin();
      const execution = new Execution(this, transaction, () => false);
      const step = compiled.run(execution, parameters).next();
      if (step.done !== true) throw new Error('a statement by itself would wait');
      rows = step.value;
      this.commit(transaction);
    }
    return rows;
  }
}
