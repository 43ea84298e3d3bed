import { randomUUID } from 'node:crypto';
import { Pool } from 'pg';
import * as ledger from '../../src/activities/postgres/ledger';
import { eventually } from '../support/eventually';
import { openWorld, type World } from '../support/world';
import { LISTED, type List, PROJECTED } from './lines';

/** MongoDB refuses a token that begins with this, in both forms. */
export const UNWELCOME = 'unwelcome';

/** What a line looks like in both stores. */
export interface Lists {
  readonly postgres: string[];
  readonly mongo: string[];
}

/** A hold that the test has, and that nothing times out. */
export interface Hold {
  /** Settles it, and calls those whose turn it is. */
  release(): Promise<void>;
}

type Form = 'projection' | 'transaction';

/** A world with lines in it, and a pool of the size that an application's has. */
export class LinesWorld {
  private constructor(
    readonly world: World,
    readonly pool: Pool,
  ) {}

  static async open(): Promise<LinesWorld> {
    const world = await openWorld();
    await world.postgres.query(`
      create table visit (
        line text not null, place int not null, token text not null,
        primary key (line, place), unique (line, token))`);
    const validator = { tokens: { $not: { $regex: `^${UNWELCOME}` } } };
    await world.mongo.db().createCollection(PROJECTED, { validator });
    await world.mongo.db().createCollection(LISTED, { validator });
    const pool = new Pool({
      connectionString: world.postgresUrl,
      max: 10,
      application_name: POOL_OF_THE_WORKER,
    });
    return new LinesWorld(world, pool);
  }

  async close(): Promise<void> {
    await this.pool.end();
    await this.world.close();
  }

  /** A new line, empty in both stores. */
  async openLine(): Promise<string> {
    const line = randomUUID().slice(0, 8);
    await this.world.mongo.db().collection<List>(LISTED).insertOne({ _id: line, tokens: [] });
    return line;
  }

  /** Who has visited the line, first to last, in both stores. */
  async listsOf(line: string, form: Form): Promise<Lists> {
    const { rows } = await this.world.postgres.query<{ token: string; place: number }>(
      'select token, place from visit where line = $1 order by place',
      [line],
    );
    const list = await this.world.mongo
      .db()
      .collection<List>(form === 'projection' ? PROJECTED : LISTED)
      .findOne({ _id: line }, { readConcern: 'majority' });
    return { postgres: rows.map(({ token }) => token), mongo: list?.tokens ?? [] };
  }

  /** Keeps an entity from everybody until it is released. */
  async hold(...entities: string[]): Promise<Hold> {
    const { postgres, temporal } = this.world;
    const token = `hold-${randomUUID()}`;
    const key = { definition: 'hold', token, fingerprint: '1:x' };
    const plan = { form: 'transaction', undoable: false, documents: [], input: null } as const;
    const answer = await ledger.claim(postgres, key, { ...plan, workflow: token, entities });
    if (answer.at !== 'claimed') throw new Error(`${entities.join()} is not free`);
    return {
      release: async () => {
        const { turns } = await ledger.settle(postgres, key, answer.claim);
        const call = (workflow: string) => temporal.workflow.getHandle(workflow).signal('turn');
        await Promise.allSettled(turns.map(call));
      },
    };
  }

  /**
   * Locks the row of an entity, as soon as whoever has the lock lets go of it. Until it is unlocked
   * nobody can settle what holds it.
   */
  async lock(entity: string): Promise<() => Promise<void>> {
    const client = await this.world.postgres.connect();
    await client.query('begin');
    await client.query('select from twinwrite.entity where key = $1 for update', [entity]);
    return async () => {
      await client.query('rollback');
      client.release();
    };
  }

  /** Waits until so many are in the queue of the entity. */
  async queued(entity: string, count: number): Promise<void> {
    await eventually(
      async () => ((await this.queueOf(entity)).length === count ? true : undefined),
      `${count} updates wait for ${entity}`,
    );
  }

  /** The tokens of those who wait for an entity, in ticket order. */
  async queueOf(entity: string): Promise<string[]> {
    const { rows } = await this.world.postgres.query<{ token: string }>(
      `select p.tokens[1] as token from twinwrite.waiting w join twinwrite.pending p using (ticket)
        where w.key = $1 order by ticket`,
      [entity],
    );
    return rows.map(({ token }) => token);
  }

  /** Where the ledger says that an update stands. */
  async stateOf(token: string): Promise<string | undefined> {
    const { rows } = await this.world.postgres.query<{ state: string }>(
      'select state from twinwrite.updates where token = $1',
      [token],
    );
    return rows[0]?.state;
  }

  async reached(token: string, state: string): Promise<void> {
    await eventually(
      async () => ((await this.stateOf(token)) === state ? true : undefined),
      `${token} is ${state}`,
    );
  }
}

/** The name under which PostgreSQL sees the sessions of a worker with that pool. */
export const POOL_OF_THE_WORKER = 'worker';
