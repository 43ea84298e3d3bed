import type { Database } from './database';
import { PostgresError } from './postgres-error';
import { Conflict, type Pause, type Transaction, uniqueViolation, type Version } from './rows';
import { coerce, compare, Instant, keyOf, type Tuple, type Value } from './values';

/** What compiled statements run on: one transaction of one session. */
export class Execution {
  constructor(
    readonly database: Database,
    readonly transaction: Transaction,
    /** Whether others may come in between the statements of a function. */
    readonly isStepwise: () => boolean,
  ) {}

  /** Of a statement: each has its own under READ COMMITTED. */
  snapshot(): number {
    return this.transaction.snapshot ?? this.database.commits;
  }

  now(): Instant {
    return new Instant(this.transaction.startedMillis);
  }

  nextval(sequence: Value): bigint {
    return this.database.nextval(String(sequence).split('.').at(-1) ?? '');
  }

  scan(table: string, snapshot: number): Version[] {
    return this.database.rows(table).scan(snapshot, this.transaction);
  }

  /**
   * Locks the row of a version, waiting for whoever has it, and answers the newest version: another
   * one when it was changed meanwhile, none when it is gone.
   */
  *lock(version: Version, mode: 'wait' | 'skip' = 'wait'): Generator<Pause, Version | null> {
    const { $row: row } = version;
    const { life } = row;
    const { transaction } = this;
    this.#assertWritable();
    while (row.lockedBy !== undefined && row.lockedBy !== transaction) {
      if (mode === 'skip') return null;
      yield { for: row.lockedBy };
    }
    if (row.pending?.by === transaction) return row.pending.version;
    const current = row.latest();
    if (current === null || row.life !== life) return null;
    if (transaction.snapshot !== undefined && current !== version) {
      throw new PostgresError('40001', 'could not serialize access');
    }
    row.lockedBy = transaction;
    transaction.touched.add(row);
    return current;
  }

  readonly isConflict = (inserted: Version | Conflict): inserted is Conflict =>
    inserted instanceof Conflict;

  /** The row that has the key, locked; nothing when it was deleted meanwhile. */
  *lockConflict({ row }: Conflict): Generator<Pause, Version | null> {
    const version = row.pending?.by === this.transaction ? row.pending.version : row.latest();
    return version === null ? null : yield* this.lock(version);
  }

  sort(rows: { readonly keys: readonly Value[] }[], signs: readonly number[]): void {
    rows.sort((a, b) => {
      for (const [index, sign] of signs.entries()) {
        const order = compare(a.keys[index], b.keys[index]);
        if (order !== 0) return sign * order;
      }
      return 0;
    });
  }

  group<Member>(groups: Map<string, Member[]>, key: string, member: Member): void {
    const group = groups.get(key);
    if (group === undefined) groups.set(key, [member]);
    else group.push(member);
  }

  distinct(values: readonly Value[]): Value[] {
    return [...new Map(values.map((value) => [keyOf([value]), value])).values()].sort(compare);
  }

  distinctRows(rows: readonly Tuple[]): Tuple[] {
    return [...new Map(rows.map((row) => [keyOf(Object.values(row)), row])).values()];
  }

  *insert(
    table: string,
    values: Tuple,
    onConflict: 'fail' | 'answer',
  ): Generator<Pause, Version | Conflict> {
    this.#assertWritable();
    const rows = this.database.rows(table);
    this.#check(table, values);
    const inserted = yield* rows.insert(values, this.transaction);
    if (inserted instanceof Conflict && onConflict === 'fail') {
      throw uniqueViolation(rows.table, inserted.index);
    }
    return inserted;
  }

  /** Of a row that the transaction has locked. */
  *update(table: string, version: Version, changes: Tuple): Generator<Pause, Version> {
    const { $row: row } = version;
    let changed: Version = { ...version, ...changes, $row: row };
    for (const { columns, when, run } of this.database.blueprint.triggersOf(table)) {
      if (!columns.some((column) => column in changes) || when(changed, version) !== true) continue;
      changed = { ...(yield* run(this, changed, version)), $row: row };
    }
    this.#check(table, changed);
    yield* this.database.rows(table).assertUnique(changed, this.transaction);
    row.pending = { by: this.transaction, version: changed };
    return changed;
  }

  delete({ $row: row }: Version): void {
    row.pending = { by: this.transaction, version: null };
  }

  /** As an assignment to a column does. */
  assign(table: string, column: string, value: Value): Value {
    return coerce(value, this.database.typeOf(table, column));
  }

  raise(code: string, message: string): PostgresError {
    return new PostgresError(code, message);
  }

  #check(table: string, tuple: Tuple): void {
    const failed = this.database.failedCheck(table, tuple);
    if (failed !== undefined) {
      throw new PostgresError('23514', 'a check failed', { table, constraint: failed });
    }
  }

  #assertWritable(): void {
    if (this.transaction.isReadOnly) throw new PostgresError('25006', 'it is read-only');
  }
}
