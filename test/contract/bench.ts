import { Pool } from 'pg';
import pino from 'pino';
import type { Form, Reason } from 'twinwrite';
import type { AnyCrossStoreUpdate } from '../../src/domain/definition';
import type { CrossStoreUpdateRequest } from '../../src/domain/update-request';
import { guardPool } from '../../src/worker/guard-stores';
import { openWorld, type World } from '../support/world';
import { ActivitySteps } from './activity-steps';
import { countingUpdate, prepareCounting } from './counting-update';
import { Steering } from './steering';

/** The worker's pool in these tests: small, so that who holds its connections is felt. */
const POOL_SIZE = 10;

export const REASON: Reason = { code: 'Cancelled', message: 'by the test' };

/** One definition in a world of its own, and as many workers on it as a test asks for. */
export class Bench {
  readonly #pools: Pool[] = [];

  private constructor(
    readonly world: World,
    readonly definition: AnyCrossStoreUpdate,
    readonly steering: Steering,
  ) {}

  static async open(form: Form, undo: 'both' | 'postgres' = 'both'): Promise<Bench> {
    const world = await openWorld();
    const steering = new Steering();
    const definition = countingUpdate({ name: `${form}Count`, form, undo, steering });
    await prepareCounting(world, [definition]);
    return new Bench(world, definition, steering);
  }

  /** Another worker process, as far as the stores can tell: its own pool and its own activities. */
  worker(definition: AnyCrossStoreUpdate = this.definition): ActivitySteps {
    const pool = new Pool({
      connectionString: this.world.postgresUrl,
      max: POOL_SIZE,
      application_name: this.world.name,
    });
    // As `createWorker` does: these tests end sessions.
    guardPool(pool, pino({ level: 'silent' }));
    this.#pools.push(pool);
    return new ActivitySteps(pool, this.world.mongo, [definition]);
  }

  request(token: string, input: { points?: number; note?: string } = {}): CrossStoreUpdateRequest {
    return { definition: this.definition.name, token, input: { id: token, ...input } };
  }

  /** What the view says of a token, or nothing when the ledger never heard of it. */
  async state(token: string): Promise<string | undefined> {
    const { rows } = await this.world.postgres.query<{ state: string }>(
      'select state from twinwrite.updates where token = $1',
      [token],
    );
    return rows[0]?.state;
  }

  async close(): Promise<void> {
    await Promise.all(this.#pools.map((pool) => pool.end()));
    await this.world.close();
  }
}
