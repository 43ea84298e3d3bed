import { Client, type Pool } from 'pg';
import type { Logger } from 'pino';

const CHANNEL = 'twinwrite_outbox';
const CONNECT_WITHIN_MILLIS = 5_000;
const RECONNECT_AFTER_MILLIS = 1_000;

export interface OutboxListenerOptions {
  /** Only what it connects with is taken from it. */
  readonly pool: Pool;
  readonly taskQueue: string;
  /** Something was enlisted, or may have been while nobody listened. */
  readonly onEnlisted: () => void;
  readonly logger: Logger;
}

/**
 * Hears of what is enlisted, on a connection of its own: one of the pool's would be missing for
 * legs all the time, and a pool that is full would leave nobody to listen. It connects as the pool
 * does, and again when the connection breaks.
 *
 * Notifications get lost, with a connection or behind a pooler that hands connections on between
 * transactions, where nothing of it is heard at all. Whoever listens looks for itself as well.
 */
export class OutboxListener {
  #client: Client | undefined;
  #reconnect: NodeJS.Timeout | undefined;
  #connecting: Promise<void> = Promise.resolve();
  #isClosed = false;

  constructor(private readonly options: OutboxListenerOptions) {}

  start(): void {
    this.#connecting = this.#listen();
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    clearTimeout(this.#reconnect);
    await this.#connecting;
    await this.#client?.end().catch(() => {});
  }

  async #listen(): Promise<void> {
    const { taskQueue, onEnlisted, logger } = this.options;
    const client = new Client(this.#connectionOptions());
    this.#client = client;
    client.on('notification', ({ payload }) => {
      if (payload === taskQueue) onEnlisted();
    });
    // An end follows it; without a listener it would end the process.
    client.on('error', (err) => {
      logger.debug({ err }, 'the connection that listens for enlisted updates broke');
    });
    client.once('end', () => this.#listenAgainLater());
    try {
      await client.connect();
      await client.query(/*sql*/ `listen ${CHANNEL}`);
      onEnlisted();
    } catch (error) {
      logger.debug({ err: error }, 'cannot listen for enlisted updates; they are looked for');
      // It ends by itself, or it never was connected.
      await client.end().catch(() => {});
      this.#listenAgainLater();
    }
  }

  #listenAgainLater(): void {
    if (this.#isClosed) return;
    clearTimeout(this.#reconnect);
    this.#reconnect = setTimeout(() => this.start(), RECONNECT_AFTER_MILLIS);
  }

  #connectionOptions() {
    const { options } = this.options.pool;
    // A pool hides the password from those who enumerate its options.
    return {
      ...options,
      password: options.password,
      keepAlive: true,
      connectionTimeoutMillis: CONNECT_WITHIN_MILLIS,
    };
  }
}
