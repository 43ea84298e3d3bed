import { PostgresError } from './postgres-error';
import type { Table, UniqueIndex } from './schema';
import { keyOf, type Tuple } from './values';

/** A version of a row: its columns, and where it belongs. */
export type Version = Tuple & { readonly $row: Row };

/** What a statement says when it cannot go on before a transaction has ended. */
interface Wait {
  readonly for: Transaction;
}

/** Between two statements of a function: where another session may come in between. */
export const BOUNDARY = 'boundary';
export type Pause = Wait | typeof BOUNDARY;

/**
 * One row through its life: what was committed when, what a transaction has made of it meanwhile,
 * and who has locked it. One transaction at most writes a row, since it locks it before.
 */
export class Row {
  readonly committed: { readonly at: number; readonly version: Version | null }[] = [];
  pending: { readonly by: Transaction; version: Version | null } | undefined;
  lockedBy: Transaction | undefined;
  /** A row that was deleted and inserted again is another one. */
  life = 0;

  latest(): Version | null {
    return this.committed.at(-1)?.version ?? null;
  }

  visible(snapshot: number, to: Transaction): Version | null {
    if (this.pending?.by === to) return this.pending.version;
    for (let index = this.committed.length - 1; index >= 0; index -= 1) {
      const entry = this.committed[index];
      if (entry !== undefined && entry.at <= snapshot) return entry.version;
    }
    return null;
  }
}

export class Transaction {
  readonly touched = new Set<Row>();
  hasEnded = false;

  constructor(
    readonly startedMillis: number,
    /** Of a repeatable read; nothing where each statement has its own. */
    readonly snapshot: number | undefined,
    readonly isReadOnly: boolean,
  ) {}
}

export class Rows {
  readonly #byKey = new Map<string, Row>();
  readonly #others: readonly UniqueIndex[];
  readonly #primary: UniqueIndex | undefined;
  #next = 0;

  constructor(readonly table: Table) {
    [this.#primary, ...this.#others] = table.unique as [UniqueIndex?, ...UniqueIndex[]];
  }

  [Symbol.iterator](): IterableIterator<Row> {
    return this.#byKey.values();
  }

  scan(snapshot: number, by: Transaction): Version[] {
    const found: Version[] = [];
    for (const row of this.#byKey.values()) {
      const version = row.visible(snapshot, by);
      if (version !== null) found.push(version);
    }
    return found;
  }

  /**
   * Inserts, or names the row that has the key. It waits for a transaction that has the key in hand,
   * as a unique index does: only its end says whether the key is taken.
   */
  *insert(tuple: Tuple, by: Transaction): Generator<Pause, Conflict | Version> {
    for (const index of this.table.unique) {
      const conflict = yield* this.#findConflict(index, tuple, by);
      if (conflict !== undefined) return conflict;
    }
    const key = this.#keyOf(tuple);
    const row = this.#byKey.get(key) ?? new Row();
    row.life += 1;
    row.lockedBy = by;
    const version: Version = { ...tuple, $row: row };
    row.pending = { by, version };
    this.#byKey.set(key, row);
    by.touched.add(row);
    return version;
  }

  *#findConflict(
    index: UniqueIndex,
    tuple: Tuple,
    by: Transaction,
  ): Generator<Pause, Conflict | undefined> {
    const key = indexKeyOf(index, tuple);
    if (key === undefined) return undefined;
    const has = (version: Version | null) => version !== null && indexKeyOf(index, version) === key;
    for (;;) {
      const candidates = index === this.#primary ? this.#at(key) : this.#byKey.values();
      let holder: Transaction | undefined;
      for (const row of candidates) {
        const { pending } = row;
        if (pending !== undefined && pending.by !== by) {
          if (has(pending.version) || has(row.latest())) holder = pending.by;
        } else if (has(pending === undefined ? row.latest() : pending.version)) {
          return new Conflict(row, index);
        }
      }
      if (holder === undefined) return undefined;
      yield { for: holder };
    }
  }

  #at(key: string): Row[] {
    const row = this.#byKey.get(key);
    return row === undefined ? [] : [row];
  }

  #keyOf(tuple: Tuple): string {
    this.#next += 1;
    const key = this.#primary === undefined ? undefined : indexKeyOf(this.#primary, tuple);
    return key ?? `#${this.#next}`;
  }

  /** Whether another row has what a unique index, not the primary key, must have once. */
  *assertUnique(version: Version, by: Transaction): Generator<Pause, void> {
    for (const index of this.#others) {
      const conflict = yield* this.#findConflict(index, version, by);
      if (conflict !== undefined && conflict.row !== version.$row) {
        throw uniqueViolation(this.table, index);
      }
    }
  }
}

export class Conflict {
  constructor(
    readonly row: Row,
    readonly index: UniqueIndex,
  ) {}
}

export function uniqueViolation(table: Table, index: UniqueIndex): PostgresError {
  return new PostgresError('23505', 'a duplicate key', {
    table: table.name,
    constraint: index.name,
  });
}

/** Nothing when a column is null: nulls are never the same. */
function indexKeyOf({ columns }: UniqueIndex, tuple: Tuple): string | undefined {
  const values = columns.map((column) => tuple[column]);
  return values.includes(null) ? undefined : keyOf(values);
}
