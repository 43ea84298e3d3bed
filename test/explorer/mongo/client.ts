import type { UUID } from 'mongodb';
import type { Process } from '../process';
import { CallInFlight } from '../store-call';
import { atOnce, type CallOptions, type Connection, type Running, storeCall } from './call';
import { ModelCollection } from './collection';
import { type Document, keyOf, refuse } from './matching';
import { ModelSession } from './session';
import type { Store } from './store';

/** The part of the driver that production uses, on the model's store. */
export class ModelMongo implements Connection {
  readonly options = {};

  constructor(
    readonly process: Process,
    readonly store: Store,
  ) {}

  db(name?: string): ModelDb {
    return new ModelDb(this, name ?? 'explored');
  }

  startSession(): ModelSession {
    return new ModelSession(this);
  }

  /** One command to the server: an await that the scheduler owns. */
  async call<Answer>(
    name: string,
    options: CallOptions,
    run: () => Running<Answer>,
  ): Promise<Answer> {
    return await new Promise<Answer>((resolve, reject) => {
      const { process } = this;
      const call = storeCall(name, options, run);
      process.calls.add(new CallInFlight(process, call, { resolve, reject }));
    });
  }
}

export class ModelDb {
  constructor(
    readonly client: ModelMongo,
    readonly databaseName: string,
  ) {}

  collection(name: string): ModelCollection {
    return new ModelCollection(this.client, name);
  }

  /** What production sends as a plain command. */
  async command(command: Document): Promise<Document> {
    const { client } = this;
    const { store } = client;
    const sessions = command['killSessions'] as { id: unknown }[] | undefined;
    const options = { isAuxiliary: true };
    if (sessions !== undefined) {
      return await client.call('killSessions', options, () =>
        atOnce(() => {
          for (const { id } of sessions) {
            const open = id === undefined ? undefined : store.open.get(keyOf(id));
            if (open !== undefined) store.abort(open);
          }
          return { ok: 1 };
        }),
      );
    }
    const collection = this.collection(String(command['update'] ?? command['delete']));
    if (command['update'] !== undefined) {
      const [{ q, u, upsert } = refuse('update of nothing')] = command['updates'] as Change[];
      return await client.call('note', options, function* () {
        yield* collection.updating(q, u as Document, upsert === true);
        return { ok: 1 };
      });
    }
    const deletes = command['deletes'] as Change[] | undefined;
    if (deletes === undefined) return refuse(`command ${Object.keys(command)[0]}`);
    return await client.call('forget notes', options, function* () {
      for (const { q } of deletes) yield* collection.deletingAll(q);
      return { ok: 1 };
    });
  }

  aggregate(pipeline: readonly Document[]): { toArray: () => Promise<Document[]> } {
    const { client } = this;
    const wanted = pipeline[1]?.['$match'] as { 'lsid.id': { $in: UUID[] } } | undefined;
    if (pipeline[0]?.['$currentOp'] === undefined || wanted === undefined) refuse('aggregation');
    const toArray = () =>
      client.call('currentOp', { isAuxiliary: true, isRead: true }, () =>
        atOnce(() => {
          return [...client.store.open.values()].flatMap(({ session, startedMillis }) => {
            const id = wanted?.['lsid.id'].$in.find((candidate) => keyOf(candidate) === session);
            if (id === undefined) return [];
            const startWallClockTime = new Date(startedMillis).toISOString();
            return [{ lsid: { id }, transaction: { startWallClockTime } }];
          });
        }),
      );
    return { toArray };
  }
}

interface Change {
  readonly q: Document;
  readonly u?: Document | Document[];
  readonly upsert?: boolean;
}
