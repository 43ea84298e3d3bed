import type { MongoClient } from 'mongodb';
import type { Pool, PoolClient } from 'pg';
import { migrateMongo } from '../activities/mongo/migrate';
import { migratePostgres } from '../activities/postgres/migrate';
import type { AnyCrossStoreUpdate } from '../domain/definition';
import { TwinwriteError } from '../domain/errors';
import type { Json } from '../domain/json';
import type { Outcome, Reason } from '../domain/outcome';
import { plainInput } from '../domain/parse-input';
import type { CrossStoreUpdateRequest } from '../domain/update-request';
import type { Ignores } from './differences';
import { type Drive, drive } from './drive';
import {
  collectionStatesOf,
  type MongoSnapshot,
  readCollections,
  restoreCollections,
} from './mongo-collections';
import { assertMayOverwrite, type CheckOptions, ignoring, MAX_ROWS } from './options';
import { type Positions, Sequences } from './postgres-sequences';
import { type PostgresSnapshot, Tables, tableStatesOf } from './postgres-tables';
import { identityOf, type Sample } from './samples';
import { type Cut, type MadeCall, StoreCalls } from './store-calls';
import { ONLY, rowOf, type TableState } from './table-state';

interface Baseline {
  readonly tables: PostgresSnapshot;
  readonly collections: MongoSnapshot;
  readonly positions: Positions;
}

export interface RunOptions {
  readonly cut?: Cut;
  readonly back?: Reason;
  /** Several drivers run at once: nobody turns back the sequences. */
  readonly together?: boolean;
}

/** A drive, and the calls that it made. */
export interface Run {
  readonly drive: Drive;
  readonly calls: readonly MadeCall[];
}

/** Two checks of one database at once wait for each other. The number is arbitrary and ours. */
const ADVISORY_LOCK = '7303017405916';

/**
 * Both stores, for one check: it can bring them back to where the samples begin, as often as it is
 * asked to, and in the end to where it found them.
 */
export class Bench {
  private constructor(
    readonly definition: AnyCrossStoreUpdate,
    readonly postgres: Pool,
    readonly mongo: MongoClient,
    readonly ignores: Ignores,
    private readonly tables: Tables,
    private readonly sequences: Sequences,
    private readonly lock: PoolClient,
    private readonly found: Baseline,
    private start: Baseline,
  ) {}

  /** @throws TwinwriteError `InvalidConfiguration` when the databases are not for this. */
  static async open(definition: AnyCrossStoreUpdate, options: CheckOptions): Promise<Bench> {
    const { postgres, mongo, ignore, mayOverwrite } = options;
    const { rows } = await postgres.query<{ name: string }>('select current_database() as name');
    const databases = { PostgreSQL: rows[0]?.name ?? '', MongoDB: mongo.db().databaseName };
    assertMayOverwrite(databases, mayOverwrite);
    await migratePostgres(postgres);
    await migrateMongo(mongo.db());
    const lock = await postgres.connect();
    try {
      await lock.query(`select pg_advisory_lock(${ADVISORY_LOCK})`);
      await assertNothingInFlight(postgres);
      const sequences = await Sequences.find(postgres);
      const tables = await Tables.find(postgres, MAX_ROWS);
      const found = await readBaseline(mongo, tables, sequences);
      const stores = [postgres, mongo, ignoring(ignore), tables, sequences] as const;
      return new Bench(definition, ...stores, lock, found, found);
    } catch (error) {
      lock.release(true);
      throw error;
    }
  }

  /** Applies what the samples build on, and makes the state after it the one that they begin from. */
  async give(given: CheckOptions['given'] = []): Promise<void> {
    for (const [index, { update, input }] of given.entries()) {
      const request = await requestOf(update, plainInput(update, input));
      const { drive: ended } = await this.#drive(update, request, {});
      if (ended.at === 'settled' && ended.outcome.status === 'applied') continue;
      const problem = `given[${index}] (${update.name}) is not applied: ${describeDrive(ended)}.`;
      throw new TwinwriteError('InvalidConfiguration', { problem });
    }
    if (given.length > 0) {
      this.start = await readBaseline(this.mongo, this.tables, this.sequences);
    }
  }

  /** Brings both stores to where the samples begin. */
  async reset(): Promise<void> {
    await this.#restore(this.start);
  }

  /**
   * A token that the ledger knows would be answered from there: nothing of the definition would run.
   *
   * @throws TwinwriteError `InvalidConfiguration`
   */
  async assertUnknown({ name }: Sample, token: string): Promise<void> {
    await this.reset();
    const { rowCount } = await this.postgres.query(
      /*sql*/ `select from twinwrite.ledger where definition = $1 and token = $2`,
      [this.definition.name, token],
    );
    if (rowCount === 0) return;
    const problem = `The token ${JSON.stringify(token)} of ${name} is in the ledger of this database: the update was run before. Give samples that never were, or a database made anew.`;
    throw new TwinwriteError('InvalidConfiguration', { problem });
  }

  /** Submits a sample as a client would, its token made anew, and drives it. */
  async run(sample: Sample, options: RunOptions = {}): Promise<Run> {
    const request = await requestOf(this.definition, sample.input);
    return await this.#drive(this.definition, request, options);
  }

  async #drive(
    definition: AnyCrossStoreUpdate,
    request: CrossStoreUpdateRequest,
    { cut, back, together }: RunOptions,
  ): Promise<Run> {
    const { postgres, mongo, sequences } = this;
    const calls = new StoreCalls(cut);
    const ended = await drive({
      postgres,
      mongo,
      definition,
      request,
      calls,
      ...(together === true ? {} : { sequences }),
      ...(back === undefined ? {} : { back }),
    });
    return { drive: ended, calls: calls.made };
  }

  /** What the application's tables and collections hold, and the outcome beside them. */
  async state(outcome?: Outcome<Json>): Promise<TableState[]> {
    const [tables, collections] = await Promise.all([
      this.tables.read(),
      readCollections(this.mongo.db(), MAX_ROWS),
    ]);
    const states = [...tableStatesOf(tables), ...collectionStatesOf(collections)];
    return outcome === undefined ? states : [...states, outcomeState(outcome)];
  }

  /** Leaves the stores as they were found, and lets the next check in. */
  async close(): Promise<void> {
    try {
      await this.#restore(this.found);
    } finally {
      this.lock.release(true);
    }
  }

  async #restore({ tables, collections, positions }: Baseline): Promise<void> {
    await Promise.all([
      this.tables.restore(tables),
      restoreCollections(this.mongo.db(), collections, MAX_ROWS),
    ]);
    await this.sequences.turnBack(positions);
  }
}

/** The answer of an update, to be compared as what the stores hold is. */
export function outcomeState(outcome: Outcome<Json>): TableState {
  const row = new Map([...rowOf(outcome), [ONLY, null]]);
  return { title: 'The answer', name: 'answer', key: [ONLY], rows: [row] };
}

export function describeDrive(ended: Drive): string {
  switch (ended.at) {
    case 'settled':
      return ended.outcome.status === 'applied'
        ? 'it was applied'
        : `it was ${ended.outcome.status}: ${ended.outcome.reason.message}`;
    case 'dead':
      return 'it never ended';
    case 'failed':
      return `it failed: ${ended.error instanceof Error ? ended.error.message : String(ended.error)}`;
  }
}

async function requestOf(
  definition: AnyCrossStoreUpdate,
  input: Json,
): Promise<CrossStoreUpdateRequest> {
  const { token } = await identityOf(definition, input);
  return { definition: definition.name, token, input };
}

async function readBaseline(
  mongo: MongoClient,
  tables: Tables,
  sequences: Sequences,
): Promise<Baseline> {
  return {
    tables: await tables.read(),
    collections: await readCollections(mongo.db(), MAX_ROWS),
    positions: await sequences.read(),
  };
}

async function assertNothingInFlight(postgres: Pool): Promise<void> {
  const { rows } = await postgres.query<{ count: string }>(
    /*sql*/ `select count(*) from twinwrite.pending`,
  );
  const count = rows[0]?.count ?? '0';
  if (count === '0') return;
  const problem = `${count} updates are in flight in this database: an application works in it, or a check was killed. checkDefinition needs one of its own, made anew.`;
  throw new TwinwriteError('InvalidConfiguration', { problem });
}
