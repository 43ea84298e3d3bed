import type { Pool, PoolClient } from 'pg';
import type { Stop } from '../epoch-stop';
import { inTransaction } from './transaction';

/** What a check looks at. Both ticks count from 0. */
export interface PostgresEpoch {
  readonly epoch: number;
  readonly tick: number;
  /** The last tick of MongoDB that this store has seen. */
  readonly mongoTick: number;
  readonly pair: string;
  readonly stopped: string | null;
  /** As what it was found in agreement last; null before the first check. */
  readonly incarnation: string | null;
  /** What it is now. */
  readonly here: string;
  /** When it last ticked. */
  readonly tickedAt: Date;
}

const ANSWER_WITHIN_MILLIS = 2_000;

const COLUMNS = /*sql*/ `
  s.epoch, s.tick::float8 as tick, s.mongo_tick::float8 as "mongoTick", s.pair, s.stopped, s.incarnation,
  twinwrite.incarnation_of(s.tableoid) as here, s.ticked_at as "tickedAt"`;

export async function read(pool: Pool): Promise<PostgresEpoch> {
  const found = await inStore(pool, (client) =>
    client.query<PostgresEpoch>(/*sql*/ `select ${COLUMNS} from twinwrite.store s`),
  );
  const [epoch] = found.rows;
  if (epoch === undefined) throw new Error('twinwrite.store has no row');
  return epoch;
}

export interface MemoryOfMongo {
  readonly postgresTick: number;
  readonly pair: string | undefined;
}

/**
 * Raises its tick, unless it is stopped, belongs to another pair, or is behind what MongoDB
 * remembers of it: then nothing happens, and nothing is answered. A store that went back must not
 * tick until nobody can tell any more.
 */
export async function tick(
  pool: Pool,
  { postgresTick, pair }: MemoryOfMongo,
): Promise<PostgresEpoch | undefined> {
  const ticked = await inStore(pool, (client) =>
    client.query<PostgresEpoch>(
      /*sql*/ `update twinwrite.store s set tick = s.tick + 1, ticked_at = clock_timestamp()
        where s.stopped is null and s.tick >= $1 and (s.pair = $2 or ($2::text is null and s.mongo_tick = 0))
        returning ${COLUMNS}`,
      [postgresTick, pair ?? null],
    ),
  );
  return ticked.rows[0];
}

export interface Agreement {
  readonly mongoTick: number;
  /** As what the store was compared. */
  readonly here: string;
  /** As what it was known before. */
  readonly incarnation: string | null;
  readonly epoch: number;
}

/**
 * Records that MongoDB agrees, and for a store that is not what it was, its new epoch. Says whether
 * it is still the store that was compared.
 */
export async function agree(
  pool: Pool,
  { mongoTick, here, incarnation, epoch }: Agreement,
): Promise<boolean> {
  return await inStore(pool, async (client) => {
    const agreed = await client.query(
      /*sql*/ `update twinwrite.store s set mongo_tick = greatest(s.mongo_tick, $1), incarnation = $2, epoch = greatest(s.epoch, $3)
        where s.stopped is null and s.incarnation is not distinct from $4 and twinwrite.incarnation_of(s.tableoid) = $2`,
      [mongoTick, here, epoch, incarnation],
    );
    const isAgreed = agreed.rowCount === 1;
    if (isAgreed && incarnation !== null && incarnation !== here) {
      await noteEpoch(client, epoch, 'PostgreSQL was restarted, promoted or restored');
    }
    return isAgreed;
  });
}

/** Stops the store, unless it was let go since. */
export async function stop(pool: Pool, reason: Stop): Promise<void> {
  await inStore(pool, (client) =>
    client.query(
      /*sql*/ `update twinwrite.store set stopped = $1 where stopped is null and epoch <= $2`,
      [JSON.stringify(reason), reason.epoch],
    ),
  );
}

/** Everybody who was let in before has ended within the time of the longest leg. */
const DRAIN_MILLIS = 75_000;

/** Waits, in a stopped store, for the transactions that were let in before. */
export async function drain(pool: Pool): Promise<void> {
  const options = { timeoutMillis: DRAIN_MILLIS, guard: 'off' } as const;
  await inTransaction(pool, options, async (client) => {
    await client.query(`set local lock_timeout = ${DRAIN_MILLIS}`);
    await client.query(`set local statement_timeout = ${DRAIN_MILLIS}`);
    await client.query('lock table twinwrite.store in access exclusive mode');
  });
}

export interface RaisedStore {
  readonly epoch: number;
  /** At least these. */
  readonly tick: number;
  readonly mongoTick: number;
  readonly reason: string;
}

/** Moves the stopped store to an epoch, as what it is now. */
export async function raise(
  pool: Pool,
  { epoch, tick: atLeast, mongoTick, reason }: RaisedStore,
): Promise<void> {
  await inStore(pool, async (client) => {
    await client.query(
      /*sql*/ `update twinwrite.store s set epoch = greatest(s.epoch, $1), tick = greatest(s.tick, $2), mongo_tick = greatest(s.mongo_tick, $3),
        incarnation = twinwrite.incarnation_of(s.tableoid)`,
      [epoch, atLeast, mongoTick],
    );
    await noteEpoch(client, epoch, reason);
  });
}

/** Lets the store go. */
export async function lift(pool: Pool): Promise<void> {
  await inStore(pool, (client) => client.query('update twinwrite.store set stopped = null'));
}

async function noteEpoch(client: PoolClient, epoch: number, reason: string): Promise<void> {
  await client.query(
    /*sql*/ `insert into twinwrite.epoch (epoch, reason) values ($1, $2) on conflict do nothing`,
    [epoch, reason],
  );
}

/** A transaction about the store itself, which no state of it keeps out. */
async function inStore<Result>(
  pool: Pool,
  work: (client: PoolClient) => Promise<Result>,
): Promise<Result> {
  return await inTransaction(pool, { timeoutMillis: ANSWER_WITHIN_MILLIS, guard: 'off' }, work);
}
