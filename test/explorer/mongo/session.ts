import { UUID } from 'mongodb';
import { atOnce, type Connection } from './call';
import { keyOf } from './matching';
import { noSuchTransaction, type Transaction } from './store';

let nextSession = 0;

/** Sessions are numbered anew in each schedule, so that it runs again in the same way. */
export function resetSessions(): void {
  nextSession = 0;
}

export class ModelSession {
  readonly id: { readonly id: UUID };
  hasEnded = false;
  #state: 'none' | 'open' = 'none';
  readonly #server: { readonly key: string; isNew: boolean };

  constructor(private readonly client: Connection) {
    nextSession += 1;
    this.id = { id: new UUID(nextSession.toString(16).padStart(32, '0')) };
    this.#server = { key: keyOf(this.id.id), isNew: true };
  }

  startTransaction(): void {
    this.#state = 'open';
    this.#server.isNew = true;
  }

  inTransaction(): boolean {
    return this.#state === 'open';
  }

  /** The server's transaction, which the first operation opens. */
  transaction(): Transaction {
    return this.client.store.transactionOf(this.#server);
  }

  async commitTransaction(): Promise<void> {
    this.#state = 'none';
    const { store } = this.client;
    if (this.#server.isNew) return;
    const { key } = this.#server;
    await this.client.call('commit', { session: this }, () =>
      atOnce(() => {
        const open = store.open.get(key);
        if (open === undefined) throw noSuchTransaction();
        store.commit(open);
      }),
    );
  }

  async abortTransaction(): Promise<void> {
    this.#state = 'none';
    const { store } = this.client;
    const { key } = this.#server;
    await this.client.call('abort', { isAuxiliary: true }, () =>
      atOnce(() => {
        const open = store.open.get(key);
        if (open !== undefined) store.abort(open);
      }),
    );
  }

  async endSession(): Promise<void> {
    if (this.#state === 'open' && !this.#server.isNew)
      await this.abortTransaction().catch(() => {});
    this.hasEnded = true;
  }
}
