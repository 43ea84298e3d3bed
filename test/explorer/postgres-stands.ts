import type { Pool, PoolClient } from 'pg';
import { eventually } from '../support/eventually';
import type { Blueprint, Database } from './postgres/database';
import { type Progress, Session } from './postgres/session';

interface TraceAnswer {
  readonly command: string;
  readonly rows: readonly unknown[];
}

export interface TraceClient {
  query(text: string, values?: readonly unknown[]): Promise<TraceAnswer>;
}

/** Where a trace is played: on the model or on the server. */
export interface PostgresStand {
  connect(): Promise<TraceClient>;
  /** Until the client's statement waits for a lock. */
  readonly waits: (client: TraceClient) => Promise<void>;
  /** What a statement says when its lock timeout has passed. */
  readonly timesOut: (client: TraceClient, waiting: Promise<unknown>) => Promise<unknown>;
  close(): Promise<void>;
}

const codeOf = (error: unknown): unknown => ({ code: (error as { code?: string }).code });

class RealClient implements TraceClient {
  constructor(
    readonly client: PoolClient,
    readonly pid: number,
  ) {}

  async query(text: string, values?: readonly unknown[]): Promise<TraceAnswer> {
    const answers = await this.client.query(text, values === undefined ? undefined : [...values]);
    // Several statements have several answers; the last one counts.
    const { command, rows } = [answers].flat().at(-1) ?? answers;
    return { command, rows: command === 'COMMIT' || command === 'ROLLBACK' ? [] : rows };
  }
}

export class RealStand implements PostgresStand {
  readonly #clients: RealClient[] = [];

  constructor(private readonly pool: Pool) {}

  async connect(): Promise<TraceClient> {
    const client = await this.pool.connect();
    const { rows } = await client.query<{ pid: number }>('select pg_backend_pid() as pid');
    const connected = new RealClient(client, rows[0]?.pid ?? 0);
    this.#clients.push(connected);
    return connected;
  }

  readonly waits = async (client: TraceClient): Promise<void> => {
    const { pid } = client as RealClient;
    await eventually(
      async () => {
        const { rowCount } = await this.pool.query(
          `select 1 from pg_stat_activity where pid = $1 and wait_event_type = 'Lock'`,
          [pid],
        );
        return rowCount === 0 ? undefined : true;
      },
      'the statement waits for a lock',
      2_000,
    );
  };

  readonly timesOut = async (_: TraceClient, waiting: Promise<unknown>): Promise<unknown> =>
    await waiting.catch(codeOf);

  async close(): Promise<void> {
    for (const { client } of this.#clients) {
      await client.query('rollback');
      client.release();
    }
  }
}

class ModelClient implements TraceClient {
  readonly session: Session;
  blockedBy: { readonly hasEnded: boolean } | undefined;
  #settle: { resolve: (answer: TraceAnswer) => void; reject: (error: Error) => void } | undefined;

  constructor(
    private readonly stand: ModelStand,
    private readonly database: Database,
  ) {
    this.session = new Session(database);
  }

  async query(text: string, values: readonly unknown[] = []): Promise<TraceAnswer> {
    return await new Promise((resolve, reject) => {
      this.#settle = { resolve, reject };
      const program = this.database.blueprint.compiler.program(text);
      this.proceed(this.session.start(program, values));
      this.stand.pump();
    });
  }

  proceed(progress: Progress): void {
    this.blockedBy = progress.at === 'blocked' ? progress.by : undefined;
    if (progress.at === 'done') {
      const { command, rows } = progress.answer;
      this.#settle?.resolve({ command, rows });
    }
    if (progress.at === 'failed') this.#settle?.reject(progress.error);
  }
}

export class ModelStand implements PostgresStand {
  readonly #database: Database;
  readonly #clients: ModelClient[] = [];

  constructor(blueprint: Blueprint) {
    this.#database = blueprint.create(() => 1_000_000);
  }

  async connect(): Promise<TraceClient> {
    const client = new ModelClient(this, this.#database);
    this.#clients.push(client);
    return await Promise.resolve(client);
  }

  /** Goes on with what has waited for a transaction that has ended. */
  pump(): void {
    for (const client of this.#clients) {
      if (client.blockedBy?.hasEnded !== true) continue;
      client.proceed(client.session.resume());
      this.pump();
      return;
    }
  }

  readonly waits = async (client: TraceClient): Promise<void> => {
    await Promise.resolve();
    if ((client as ModelClient).blockedBy === undefined) throw new Error('it does not wait');
  };

  readonly timesOut = async (client: TraceClient, waiting: Promise<unknown>): Promise<unknown> => {
    const { session } = client as ModelClient;
    (client as ModelClient).proceed(session.timeOut());
    return await waiting.catch(codeOf);
  };

  async close(): Promise<void> {
    await Promise.resolve();
    for (const { session } of this.#clients) session.end();
  }
}
