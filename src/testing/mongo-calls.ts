import {
  type ClientSession,
  type Collection,
  type Db,
  type MongoClient,
  MongoNetworkError,
} from 'mongodb';
import type { MongoStore } from '../activities/mongo/leg';
import type { AnyCrossStoreUpdate, MongoTransaction } from '../domain/definition';
import { TwinwriteError } from '../domain/errors';
import { withOverrides } from './postgres-calls';
import type { StoreCalls } from './store-calls';

/** The methods of a collection that write; what only reads is not cut. */
const WRITES = [
  'insertOne',
  'insertMany',
  'updateOne',
  'updateMany',
  'replaceOne',
  'deleteOne',
  'deleteMany',
  'findOneAndUpdate',
  'findOneAndReplace',
  'findOneAndDelete',
  'bulkWrite',
] as const;

type Write = (...parameters: unknown[]) => Promise<unknown>;

/** MongoDB, as one driver sees it, and a definition whose callbacks leave nothing open there. */
export interface WatchedMongo {
  readonly store: MongoStore;
  readonly definition: AnyCrossStoreUpdate;
}

/** Counts the writes of one driver, any of which may be cut. */
export function watchedMongo(
  client: MongoClient,
  calls: StoreCalls,
  definition: AnyCrossStoreUpdate,
): WatchedMongo {
  const watch = new Watch(calls, definition.name);
  const watched = withOverrides(client, {
    startSession: (...parameters: Parameters<MongoClient['startSession']>) =>
      watch.session(client.startSession(...parameters)),
  });
  return {
    store: { client: watched, db: watch.db(client.db()) },
    definition: watch.definition(definition),
  };
}

class Watch {
  /** Writes of a callback that have not answered yet, by session. */
  readonly #open = new WeakMap<ClientSession, number>();
  readonly #broken = new WeakSet<ClientSession>();

  constructor(
    private readonly calls: StoreCalls,
    private readonly name: string,
  ) {}

  /**
   * Looks at a callback of a transaction at the moment in which it returns: what it left in flight
   * may have arrived by the commit, or not.
   */
  definition(definition: AnyCrossStoreUpdate): AnyCrossStoreUpdate {
    const leg = definition.mongo.transaction;
    if (leg === undefined) return definition;
    const watched =
      <Context extends MongoTransaction>(callback: (context: Context) => Promise<void>) =>
      async (context: Context) => {
        await callback(context);
        this.#assertNothingOpen(context.session);
      };
    const undo = leg.undo === undefined ? {} : { undo: watched(leg.undo) };
    return { ...definition, mongo: { transaction: { apply: watched(leg.apply), ...undo } } };
  }

  /** The session is this driver's own: its methods may be replaced on the object itself. */
  session(session: ClientSession): ClientSession {
    const commit = session.commitTransaction.bind(session);
    const call = { store: 'MongoDB', kind: 'commit', label: 'the commit' } as const;
    session.commitTransaction = async () => {
      // The server has aborted what its connection lost.
      if (this.#broken.has(session)) throw broken();
      await this.calls.pass(call, commit, async () => broken());
    };
    return session;
  }

  /** So is the database object, which the driver makes anew for each caller. */
  db(db: Db): Db {
    const open = db.collection.bind(db);
    db.collection = ((...parameters: Parameters<Db['collection']>) => {
      const [name] = parameters;
      const collection = open(...parameters);
      if (name.startsWith('twinwrite_')) return collection;
      // Methods of the driver call each other: those of a second object are not counted twice.
      return this.#watched(collection, open(...parameters));
    }) as Db['collection'];
    return db;
  }

  #watched(collection: Collection, inner: Collection): Collection {
    for (const method of WRITES) {
      const write = (inner[method] as unknown as Write).bind(inner);
      const label = `${method} on ${inner.collectionName}`;
      Object.defineProperty(collection, method, { value: this.#write(label, write) });
    }
    return collection;
  }

  #write(label: string, write: Write): Write {
    return async (...parameters) => {
      const session = sessionOf(parameters);
      const kind = session?.inTransaction() === true ? 'statement' : 'write';
      const breakConnection = async () => {
        if (session !== undefined) this.#broken.add(session);
        return broken();
      };
      this.#count(session, 1);
      try {
        const call = { store: 'MongoDB', kind, label } as const;
        return await this.calls.pass(call, () => write(...parameters), breakConnection);
      } finally {
        this.#count(session, -1);
      }
    };
  }

  #count(session: ClientSession | undefined, by: number): void {
    if (session !== undefined) this.#open.set(session, (this.#open.get(session) ?? 0) + by);
  }

  #assertNothingOpen(session: ClientSession): void {
    const open = this.#open.get(session) ?? 0;
    if (open === 0) return;
    const problem = `returned with ${open} operations of MongoDB not awaited`;
    throw new TwinwriteError('TransactionMisused', { definition: this.name, problem });
  }
}

function broken(): Error {
  return new MongoNetworkError('connection to the server closed');
}

function sessionOf(parameters: readonly unknown[]): ClientSession | undefined {
  const options = parameters.find(
    (parameter): parameter is { session: ClientSession } =>
      typeof parameter === 'object' && parameter !== null && 'session' in parameter,
  );
  return options?.session;
}
