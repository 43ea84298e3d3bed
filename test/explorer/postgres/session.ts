import type { Compiled, Running } from './compiler';
import type { Database } from './database';
import { Execution } from './execution';
import { PostgresError } from './postgres-error';
import { BOUNDARY, type Transaction } from './rows';
import type { Tuple, Value } from './values';

export interface Answer {
  readonly command: string;
  readonly rows: readonly Record<string, Value>[];
  readonly rowCount: number;
}

/** Where a statement has come to. */
export type Progress =
  | { readonly at: 'done'; readonly answer: Answer }
  | { readonly at: 'failed'; readonly error: PostgresError }
  | { readonly at: 'blocked'; readonly by: Transaction }
  | { readonly at: 'boundary' };

/** The server's end of a connection. */
export class Session {
  #transaction: Transaction | undefined;
  #isImplicit = false;
  #hasFailed = false;
  #running: Running<Answer> | undefined;
  /** Whether others may come in between the statements of a function. */
  isStepwise = false;

  constructor(private readonly database: Database) {}

  get status(): 'I' | 'T' | 'E' {
    if (this.#transaction === undefined || this.#isImplicit) return 'I';
    return this.#hasFailed ? 'E' : 'T';
  }

  get isRunning(): boolean {
    return this.#running !== undefined;
  }

  start(program: readonly Compiled[], parameters: readonly Value[]): Progress {
    this.#running = this.#run(program, parameters);
    return this.resume();
  }

  resume(): Progress {
    return this.#advance(() => this.#running?.next());
  }

  /** The lock timeout of the server. */
  timeOut(): Progress {
    const error = new PostgresError('55P03', 'canceling statement due to lock timeout');
    return this.#advance(() => this.#running?.throw(error));
  }

  /** What becomes of it when its client is gone. */
  end(): void {
    this.#running = undefined;
    this.#rollback();
  }

  #advance(next: () => IteratorResult<unknown, Answer> | undefined): Progress {
    try {
      const step = next();
      if (step === undefined) throw new Error('no statement is running');
      if (step.done === true) {
        this.#running = undefined;
        return { at: 'done', answer: step.value };
      }
      if (step.value === BOUNDARY) return { at: 'boundary' };
      return { at: 'blocked', by: (step.value as { for: Transaction }).for };
    } catch (error) {
      this.#running = undefined;
      if (!(error instanceof PostgresError)) throw error;
      if (this.#isImplicit) this.#rollback();
      else this.#hasFailed = true;
      return { at: 'failed', error };
    }
  }

  *#run(program: readonly Compiled[], parameters: readonly Value[]): Running<Answer> {
    let answer: Answer = { command: '', rows: [], rowCount: 0 };
    for (const statement of program) answer = yield* this.#statement(statement, parameters);
    return answer;
  }

  *#statement(statement: Compiled, parameters: readonly Value[]): Running<Answer> {
    if (statement.kind === 'commit' || statement.kind === 'rollback') {
      return answerOf(this.#end(statement.kind));
    }
    if (this.#hasFailed) throw new PostgresError('25P02', 'the transaction is aborted');
    if (statement.kind === 'begin') {
      this.#transaction ??= this.database.begin(statement);
      return answerOf('BEGIN');
    }
    if (statement.kind !== 'query') return answerOf('SET');
    this.#isImplicit = this.#transaction === undefined;
    this.#transaction ??= this.database.begin();
    const execution = new Execution(this.database, this.#transaction, () => this.isStepwise);
    const rows = yield* statement.run(execution, parameters);
    if (this.#isImplicit) this.#end('commit');
    return answerOf(statement.command, rows);
  }

  /** COMMIT of a failed transaction is a rollback, and says so. */
  #end(kind: 'commit' | 'rollback'): string {
    const commits = kind === 'commit' && !this.#hasFailed;
    if (this.#transaction !== undefined && commits) this.database.commit(this.#transaction);
    this.#transaction = commits ? undefined : this.#transaction;
    this.#rollback();
    return commits ? 'COMMIT' : 'ROLLBACK';
  }

  #rollback(): void {
    if (this.#transaction !== undefined) this.database.rollback(this.#transaction);
    this.#transaction = undefined;
    this.#hasFailed = false;
    this.#isImplicit = false;
  }
}

function answerOf(command: string, rows: readonly Tuple[] = []): Answer {
  return { command, rows: rows.map(asSent), rowCount: rows.length };
}

/** As `pg` reads it: a bigint as a string, a time as a Date. */
function asSent(tuple: Tuple): Record<string, Value> {
  const sent: Record<string, Value> = {};
  for (const [name, value] of Object.entries(tuple)) {
    sent[name] =
      typeof value === 'bigint'
        ? value.toString()
        : typeof value === 'object' && value !== null && 'millis' in value
          ? new Date(Number(value))
          : value;
  }
  return sent;
}
