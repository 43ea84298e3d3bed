import { isDeepStrictEqual } from 'node:util';
import { MongoServerError } from 'mongodb';
import { type Document, fixedBy, keyOf, matches, refuse } from './matching';

/** What an operation says when it cannot go on before a transaction has ended. */
export type Pause = { readonly for: Transaction } | 'boundary';

export class Transaction {
  readonly touched = new Set<Entry>();
  hasEnded = false;
  hasAborted = false;

  constructor(
    readonly session: string,
    /** Taken by its first operation. */
    readonly snapshot: number,
    readonly startedMillis: number,
  ) {}
}

/** One document through its life. */
class Entry {
  readonly committed: { readonly at: number; readonly document: Document | null }[] = [];
  pending: { readonly by: Transaction; document: Document | null } | undefined;
  /** Known once a transaction has it. */
  collection = '';

  latest(): Document | null {
    return this.committed.at(-1)?.document ?? null;
  }

  visible(to: Transaction | undefined): Document | null {
    if (to === undefined) return this.latest();
    if (this.pending?.by === to) return this.pending.document;
    for (let index = this.committed.length - 1; index >= 0; index -= 1) {
      const version = this.committed[index];
      if (version !== undefined && version.at <= to.snapshot) return version.document;
    }
    return null;
  }

  get changedAt(): number {
    return this.committed.at(-1)?.at ?? 0;
  }
}

export interface WriteResult {
  readonly matchedCount: number;
  readonly modifiedCount: number;
  readonly upsertedCount: number;
  readonly deletedCount: number;
  readonly document: Document | null;
}

const NOTHING = {
  matchedCount: 0,
  modifiedCount: 0,
  upsertedCount: 0,
  deletedCount: 0,
  document: null,
};

/** How one write of the server finds and changes its document. */
export interface Write {
  readonly collection: string;
  readonly filter: Document;
  /** What becomes of it: of the document that was found, or of nothing in an upsert. */
  readonly change: (before: Document | undefined, now: Date) => Document | null;
  readonly upsert: boolean;
  readonly skipsValidation: boolean;
}

/**
 * The model of a replica set with one member: what is committed is on a majority. Transactions have
 * a snapshot, and the second writer of a document is refused at once; a single write waits instead.
 */
export class Store {
  #commits = 0;
  readonly #collections = new Map<string, Map<string, Entry>>();
  readonly open = new Map<string, Transaction>();

  constructor(
    readonly clock: () => number,
    private readonly validators: Readonly<Record<string, Document>>,
    /** Called after each document that became visible to all. */
    private readonly onCommit: (collection: string, document: Document) => void,
    private readonly onOpen: (transaction: Transaction) => void,
  ) {}

  #entries(collection: string): Map<string, Entry> {
    const known = this.#collections.get(collection) ?? new Map<string, Entry>();
    this.#collections.set(collection, known);
    return known;
  }

  /** What is committed, for whoever looks from outside. */
  committed(collection: string): Document[] {
    return this.find(collection, {}, undefined);
  }

  now(): Date {
    return new Date(this.clock());
  }

  /** The transaction that a session's operation belongs to: the first one opens it. */
  transactionOf(session: { readonly key: string; isNew: boolean }): Transaction {
    const open = this.open.get(session.key);
    if (open !== undefined) return open;
    if (!session.isNew) throw noSuchTransaction();
    session.isNew = false;
    const transaction = new Transaction(session.key, this.#commits, this.clock());
    this.open.set(session.key, transaction);
    this.onOpen(transaction);
    return transaction;
  }

  find(collection: string, filter: Document, by: Transaction | undefined): Document[] {
    const now = this.now();
    const found: Document[] = [];
    for (const entry of this.#entries(collection).values()) {
      const document = entry.visible(by);
      if (document !== null && matches(document, filter, now)) found.push(document);
    }
    return found;
  }

  *write(write: Write, by: Transaction | undefined): Generator<Pause, WriteResult> {
    for (;;) {
      const target = this.#target(write, by);
      if (target !== undefined) {
        const holder = target.pending?.by;
        if (holder !== undefined && holder !== by) {
          if (by !== undefined) this.#conflict(by);
          yield { for: holder };
          continue;
        }
        if (by !== undefined && holder === undefined && target.changedAt > by.snapshot) {
          this.#conflict(by);
        }
        return this.#change(write, target, by);
      }
      if (!write.upsert) return NOTHING;
      // Between looking and inserting, another one may insert it.
      if (by === undefined) yield 'boundary';
      const document = write.change(undefined, this.now()) ?? refuse('upsert of nothing');
      const inserted = { ...fixedBy(write.filter), ...document };
      try {
        yield* this.insert(write.collection, inserted, by, write.skipsValidation);
      } catch (error) {
        // The server looks again by itself, but only where the filter is the key alone.
        const isKeyAlone = Object.keys(write.filter).join() === '_id';
        if (!isKeyAlone || !isDuplicateKey(error) || by !== undefined) throw error;
        continue;
      }
      return { ...NOTHING, upsertedCount: 1, document: inserted };
    }
  }

  /** By what is committed; a write that waits looks at what somebody has in hand as well. */
  #target({ collection, filter }: Write, by: Transaction | undefined): Entry | undefined {
    const now = this.now();
    for (const entry of this.#entries(collection).values()) {
      const document = entry.visible(by);
      if (document !== null && matches(document, filter, now)) return entry;
    }
    return undefined;
  }

  #change(write: Write, entry: Entry, by: Transaction | undefined): WriteResult {
    const before = entry.visible(by) ?? refuse('change of nothing');
    const document = write.change(before, this.now());
    if (document !== null) this.#validate(write.collection, document, by, write.skipsValidation);
    this.#put(write.collection, entry, document, by);
    return {
      ...NOTHING,
      matchedCount: 1,
      modifiedCount: document === null || isDeepStrictEqual(document, before) ? 0 : 1,
      deletedCount: document === null ? 1 : 0,
      document,
    };
  }

  *insert(
    collection: string,
    document: Document,
    by: Transaction | undefined,
    skipsValidation = false,
  ): Generator<Pause, void> {
    const entries = this.#entries(collection);
    const key = keyOf(document['_id']);
    this.#validate(collection, document, by, skipsValidation);
    for (;;) {
      const entry = entries.get(key);
      const holder = entry?.pending?.by;
      if (entry !== undefined && holder !== undefined && holder !== by) {
        if (by !== undefined) this.#conflict(by);
        yield { for: holder };
        continue;
      }
      const current = entry?.pending === undefined ? entry?.latest() : entry.pending.document;
      if (entry !== undefined && current !== null && current !== undefined) {
        if (by !== undefined && holder === undefined && entry.changedAt > by.snapshot) {
          this.#conflict(by);
        }
        throw this.#fail(by, duplicateKey(document['_id']));
      }
      const fresh = entry ?? new Entry();
      entries.set(key, fresh);
      this.#put(collection, fresh, document, by);
      return;
    }
  }

  #put(
    collection: string,
    entry: Entry,
    document: Document | null,
    by: Transaction | undefined,
  ): void {
    if (by !== undefined) {
      entry.pending = { by, document };
      by.touched.add(entry);
      entry.collection = collection;
      return;
    }
    this.#commits += 1;
    entry.committed.push({ at: this.#commits, document });
    if (document !== null) this.onCommit(collection, document);
  }

  commit(transaction: Transaction): void {
    this.#commits += 1;
    for (const entry of transaction.touched) {
      if (entry.pending?.by !== transaction) continue;
      const { document } = entry.pending;
      entry.pending = undefined;
      entry.committed.push({ at: this.#commits, document });
      if (document !== null) this.onCommit(entry.collection, document);
    }
    transaction.hasEnded = true;
    this.open.delete(transaction.session);
  }

  abort(transaction: Transaction): void {
    for (const entry of transaction.touched) {
      if (entry.pending?.by === transaction) entry.pending = undefined;
    }
    transaction.hasEnded = true;
    transaction.hasAborted = true;
    this.open.delete(transaction.session);
  }

  /** The second writer loses at once, with its whole transaction. */
  #conflict(by: Transaction): never {
    this.abort(by);
    throw serverError(112, 'WriteConflict', ['TransientTransactionError']);
  }

  /** An error ends the transaction that it happens in. */
  #fail(by: Transaction | undefined, error: MongoServerError): MongoServerError {
    if (by !== undefined) this.abort(by);
    return error;
  }

  #validate(
    collection: string,
    document: Document,
    by: Transaction | undefined,
    isSkipped: boolean,
  ): void {
    const validator = this.validators[collection];
    if (isSkipped || validator === undefined || matches(document, validator, this.now())) return;
    throw this.#fail(by, serverError(121, 'DocumentValidationFailure', []));
  }
}

function serverError(
  code: number,
  codeName: string,
  errorLabels: string[],
  more: Document = {},
): MongoServerError {
  return new MongoServerError({ message: codeName, code, codeName, errorLabels, ...more });
}

export const noSuchTransaction = (): MongoServerError =>
  serverError(251, 'NoSuchTransaction', ['TransientTransactionError']);

const duplicateKey = (id: unknown): MongoServerError =>
  serverError(11_000, 'DuplicateKey', [], { keyPattern: { _id: 1 }, keyValue: { _id: id } });

const isDuplicateKey = (error: unknown): boolean =>
  error instanceof MongoServerError && error.code === 11_000;
