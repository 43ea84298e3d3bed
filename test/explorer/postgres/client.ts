import type { Process } from '../process';
import { CallInFlight, type StoreCall } from '../store-call';
import type { Database } from './database';
import { type Answer, Session } from './session';

interface QueryConfig {
  readonly text: string;
  readonly values?: readonly unknown[];
}

/** The part of `pg`'s Pool that production uses, on the model's database. */
export class ModelPool {
  readonly options = { max: 10 };
  readonly #idle: ModelClient[] = [];

  constructor(
    readonly process: Process,
    readonly database: Database,
  ) {}

  async connect(): Promise<ModelClient> {
    return await Promise.resolve(this.#idle.pop() ?? new ModelClient(this));
  }

  async query(query: string | QueryConfig, values?: readonly unknown[]): Promise<Answer> {
    const client = await this.connect();
    try {
      const answer = await client.query(query, values);
      client.release();
      return answer;
    } catch (error) {
      client.release(true);
      throw error;
    }
  }

  takeBack(client: ModelClient): void {
    this.#idle.push(client);
  }
}

type Listener = (...given: unknown[]) => void;

export class ModelClient {
  readonly session: Session;
  #isOver = false;
  #call: CallInFlight<Answer> | undefined;

  constructor(private readonly pool: ModelPool) {
    this.session = new Session(pool.database);
    pool.process.sessions.add(this);
  }

  async query(query: string | QueryConfig, values?: readonly unknown[]): Promise<Answer> {
    if (this.#isOver) throw new Error('Client was closed and is not queryable');
    const { text, values: own } = typeof query === 'string' ? { text: query, values } : query;
    return await new Promise<Answer>((resolve, reject) => {
      const call = new CallInFlight(this.pool.process, this.#storeCall(text, own ?? []), {
        resolve,
        reject,
      });
      this.#call = call;
      this.pool.process.calls.add(call);
    });
  }

  #storeCall(text: string, parameters: readonly unknown[]): StoreCall<Answer> {
    const { session } = this;
    const isCommit = /^\s*commit\b/i.test(text);
    return {
      name: nameOf(text),
      // What is not committed is lost with the connection.
      isRead: !isCommit && (session.status !== 'I' || /^\s*begin\b/i.test(text)),
      canPause: text.includes('twinwrite.'),
      begin: (isStepwise) => {
        session.isStepwise = isStepwise;
        return session.start(this.pool.database.blueprint.compiler.program(text), parameters);
      },
      resume: () => session.resume(),
      timeOut: () => session.timeOut(),
      breakConnection: () => {
        this.#isOver = true;
        this.#endSession();
        return new Error('Connection terminated unexpectedly');
      },
    };
  }

  /** As `pg` does: what waits on the connection fails. */
  async end(): Promise<void> {
    await Promise.resolve();
    const isOnItsWay = this.#call?.isFinished === false;
    this.#isOver = true;
    if (isOnItsWay) this.#call?.closeConnection(new Error('Connection terminated'));
    // What is on its way to the server finds the transaction open.
    else this.#endSession();
  }

  #endSession(): void {
    this.session.end();
    this.pool.process.sessions.delete(this);
  }

  /** The server has noticed that its client is gone. */
  endedByServer(): void {
    this.#isOver = true;
    this.#endSession();
  }

  release(destroy?: boolean): void {
    if (destroy === true || this.#isOver) {
      this.#isOver = true;
      if (this.#call?.isFinished !== false) this.#endSession();
      return;
    }
    this.pool.takeBack(this);
  }

  getTransactionStatus(): string {
    return this.session.status;
  }

  on(_event: string, _listener: Listener): this {
    return this;
  }

  off(_event: string, _listener: Listener): this {
    return this;
  }
}

const names = new Map<string, string>();

/** For a trace: what the statement is about. */
function nameOf(text: string): string {
  const known = names.get(text);
  if (known !== undefined) return known;
  const [, called] = /twinwrite\.(\w+)\(/.exec(text) ?? [];
  const name = `pg ${called ?? text.trim().replaceAll(/\s+/g, ' ').slice(0, 48)}`;
  names.set(text, name);
  return name;
}
