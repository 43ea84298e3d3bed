import { MongoError } from 'mongodb';
import { atOnce, type CallOptions, type Connection } from './call';
import { type Document, refuse, updated } from './matching';
import type { ModelSession } from './session';
import type { Pause, Transaction, WriteResult } from './store';

interface Options {
  readonly session?: ModelSession;
  readonly upsert?: boolean;
  readonly ignoreUndefined?: boolean;
  readonly bypassDocumentValidation?: boolean;
  readonly returnDocument?: 'before' | 'after';
}

type Running<Answer> = Generator<Pause, Answer>;

/** Whatever it is there for, only an attempt's own transactions are kept in it. */
const NOTES = 'twinwrite_transactions';

/** A collection as production uses one; a method that is not here is not used. */
export class ModelCollection {
  constructor(
    private readonly client: Connection,
    readonly collectionName: string,
  ) {}

  async findOne(filter: Document, options: Options = {}): Promise<Document | null> {
    const [first] = await this.#read('findOne', filter, options);
    return first ?? null;
  }

  find(filter: Document, options: Options = {}) {
    let most = Infinity;
    const cursor = {
      limit: (count: number) => {
        most = count;
        return cursor;
      },
      toArray: async () => (await this.#read('find', filter, options)).slice(0, most),
    };
    return cursor;
  }

  async indexes(): Promise<Document[]> {
    const all = () => atOnce(() => [{ name: '_id_', key: { _id: 1 } }]);
    return await this.client.call('indexes', { isRead: true }, all);
  }

  async insertOne(document: Document, options: Options = {}): Promise<void> {
    const { store } = this.client;
    const name = this.collectionName;
    await this.#write('insert', options, function* (by) {
      yield* store.insert(name, stored(document, options), by);
    });
  }

  async updateOne(filter: Document, update: Document, options: Options = {}): Promise<WriteResult> {
    const running = (by: Transaction | undefined) =>
      this.updating(filter, update, options.upsert === true, by, options);
    return await this.#write(options.upsert === true ? 'upsert' : 'update', options, running);
  }

  async replaceOne(
    filter: Document,
    document: Document,
    options: Options = {},
  ): Promise<WriteResult> {
    const change = () => stored(document, options);
    return await this.#write(options.upsert === true ? 'upsert' : 'replace', options, (by) =>
      this.#changing(filter, change, options.upsert === true, by, options),
    );
  }

  async deleteOne(filter: Document, options: Options = {}): Promise<WriteResult> {
    return await this.#write('delete', options, (by) =>
      this.#changing(filter, () => null, false, by, options),
    );
  }

  async findOneAndUpdate(
    filter: Document,
    update: Document,
    options: Options = {},
  ): Promise<Document | null> {
    if (options.returnDocument !== 'after') refuse('document as it was before');
    const running = (by: Transaction | undefined) =>
      this.updating(filter, update, options.upsert === true, by, options);
    return (await this.#write('upsert, findAndModify', options, running)).document;
  }

  *updating(
    filter: Document,
    update: Document,
    upsert: boolean,
    by?: Transaction,
    options: Options = {},
  ): Running<WriteResult> {
    const change = (before: Document | undefined, now: Date) =>
      stored(updated(before, update, now), options);
    return yield* this.#changing(filter, change, upsert, by, options);
  }

  *deletingAll(filter: Document): Running<void> {
    for (;;) {
      const { deletedCount } = yield* this.#changing(filter, () => null, false, undefined, {});
      if (deletedCount === 0) return;
    }
  }

  *#changing(
    filter: Document,
    change: (before: Document | undefined, now: Date) => Document | null,
    upsert: boolean,
    by: Transaction | undefined,
    { bypassDocumentValidation = false }: Options,
  ): Running<WriteResult> {
    const { collectionName: collection } = this;
    // An update keeps the id that the filter found.
    const keepId = (before: Document | undefined, now: Date) => {
      const changed = change(before, now);
      return before === undefined || changed === null
        ? changed
        : { ...changed, _id: before['_id'] };
    };
    const skipsValidation = bypassDocumentValidation;
    const write = { collection, filter, change: keepId, upsert, skipsValidation };
    return yield* this.client.store.write(write, by);
  }

  async #read(name: string, filter: Document, { session }: Options): Promise<Document[]> {
    assertOpen(session);
    const { client, collectionName } = this;
    const isAuxiliary = collectionName === NOTES;
    const options: CallOptions = { isRead: true, isAuxiliary, session };
    return await client.call(`${name} ${collectionName}`, options, () =>
      atOnce(() => client.store.find(collectionName, filter, session?.transaction())),
    );
  }

  async #write<Answer>(
    name: string,
    { session }: Options,
    run: (by: Transaction | undefined) => Running<Answer>,
  ): Promise<Answer> {
    assertOpen(session);
    return await this.client.call(`${name} ${this.collectionName}`, { session }, function* () {
      return yield* run(session?.transaction());
    });
  }
}

function assertOpen(session: ModelSession | undefined): void {
  if (session?.hasEnded === true) throw new MongoError('Cannot use a session that has ended');
}

/** As BSON keeps it. */
function stored(document: Document, { ignoreUndefined }: Options): Document {
  if (ignoreUndefined !== true) return { ...document };
  return Object.fromEntries(Object.entries(document).filter(([, value]) => value !== undefined));
}
