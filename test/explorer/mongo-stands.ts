import type { ClientSession, Db, MongoClient } from 'mongodb';
import { eventually } from '../support/eventually';
import type { CallOptions, Connection, Running } from './mongo/call';
import { ModelDb } from './mongo/client';
import { ModelSession, resetSessions } from './mongo/session';
import { Store } from './mongo/store';

/** Where a trace is played: on the model or on the server. */
export interface MongoStand {
  readonly client: MongoClient;
  readonly db: Db;
  startSession(): ClientSession;
  /** Until a fence waits for an open claim. */
  fenceWaits(): Promise<void>;
  /** Nothing is there. */
  reset(): Promise<void>;
  close(): Promise<void>;
}

export class RealMongoStand implements MongoStand {
  readonly #sessions: ClientSession[] = [];

  constructor(readonly client: MongoClient) {}

  get db(): Db {
    return this.client.db();
  }

  startSession(): ClientSession {
    const session = this.client.startSession();
    this.#sessions.push(session);
    return session;
  }

  async fenceWaits(): Promise<void> {
    const waiting = [
      { $currentOp: {} },
      {
        $match: {
          'command.findAndModify': 'twinwrite_ledger',
          'command.$db': this.db.databaseName,
        },
      },
    ];
    await eventually(
      async () => {
        const found = await this.client.db('admin').aggregate(waiting).toArray();
        return found.length === 0 ? undefined : true;
      },
      'the fence waits for the open claim',
      5_000,
    );
  }

  async reset(): Promise<void> {
    for (const name of ['twinwrite_ledger', 'documents', 'orders']) {
      await this.db.collection(name).deleteMany({});
    }
  }

  async close(): Promise<void> {
    for (const session of this.#sessions) await session.endSession();
  }
}

interface Waiting {
  readonly isFree: () => boolean;
  readonly goOn: () => void;
}

export class ModelMongoStand implements MongoStand, Connection {
  readonly store = new Store(
    () => 1_000_000,
    { documents: { refused: { $ne: true } } },
    () => {},
    () => {},
  );
  readonly #waiting = new Set<Waiting>();

  constructor() {
    resetSessions();
  }

  get client(): MongoClient {
    return { db: () => this.db } as unknown as MongoClient;
  }

  get db(): Db {
    return new ModelDb(this as never, 'traced') as unknown as Db;
  }

  startSession(): ClientSession {
    return new ModelSession(this) as unknown as ClientSession;
  }

  async call<Answer>(
    _name: string,
    _options: CallOptions,
    run: () => Running<Answer>,
  ): Promise<Answer> {
    return await new Promise<Answer>((resolve, reject) => {
      const running = run();
      const goOn = () => {
        try {
          let step = running.next();
          while (step.done !== true && step.value === 'boundary') step = running.next();
          if (step.done === true) return resolve(step.value);
          const holder = step.value === 'boundary' ? undefined : step.value.for;
          const waiting = { isFree: () => holder?.hasEnded === true, goOn };
          this.#waiting.add(waiting);
        } catch (error) {
          reject(error);
        }
        return undefined;
      };
      goOn();
      this.#pump();
    });
  }

  #pump(): void {
    for (const waiting of this.#waiting) {
      if (!waiting.isFree()) continue;
      this.#waiting.delete(waiting);
      waiting.goOn();
    }
  }

  async fenceWaits(): Promise<void> {
    await Promise.resolve();
    if (this.#waiting.size === 0) throw new Error('nothing waits');
  }

  async reset(): Promise<void> {}

  async close(): Promise<void> {}
}
