import type { Pool, PoolClient } from 'pg';

/** A start that was enlisted, as its row says: what stands in it is not trusted. */
export interface EnlistedStart {
  /** As a string: a bigint is more than a number holds. */
  readonly id: string;
  readonly definition: string;
  readonly token: string;
  /** JSON. */
  readonly input: string;
  /** JSON. */
  readonly entities: string;
  readonly legTimeoutMillis: number;
  readonly details: string;
  /** How often it failed. */
  readonly attempts: number;
  /** How long ago it was enlisted, by the server's clock. */
  readonly waitedMillis: number;
  /** The fingerprint with which the ledger knows the token, if it does. */
  readonly known: string | null;
}

/** What became of a start that could not be made. */
export interface Postponed {
  readonly id: string;
  /** Why it was refused, where trying again alone will not help. */
  readonly parked?: string;
}

export interface OutboxBacklog {
  readonly waiting: number;
  readonly parked: number;
  readonly oldestSeconds: number;
}

type Queryable = Pick<PoolClient, 'query'> | Pick<Pool, 'query'>;

/** A backlog beyond this is told as this many: counting is not free. */
const COUNT_AT_MOST = 10_000;

/**
 * Locks the oldest starts that are due, to the end of the transaction. Those that another relay has
 * locked are left out: it makes them, or its connection breaks and they are free again.
 */
export async function takeStarts(
  client: Queryable,
  taskQueue: string,
  atMost: number,
): Promise<readonly EnlistedStart[]> {
  const { rows } = await client.query<EnlistedStart>(
    /*sql*/ `
      select o.id::text, o.definition, o.token, o.input::text, o.entities::text, o.details, o.attempts, l.fingerprint as known,
        o.leg_timeout_millis as "legTimeoutMillis",
        (extract(epoch from clock_timestamp() - o.at) * 1000)::float8 as "waitedMillis"
      from twinwrite.outbox o
      left join twinwrite.ledger l on l.definition = o.definition and l.token = o.token
      where o.task_queue = $1 and o.due <= clock_timestamp()
      order by o.due limit $2 for update of o skip locked`,
    [taskQueue, atMost],
  );
  return rows;
}

/** Temporal has these: nothing is left to do. */
export async function forgetStarts(client: Queryable, ids: readonly string[]): Promise<void> {
  await client.query(/*sql*/ `delete from twinwrite.outbox where id = any($1::bigint[])`, [ids]);
}

/**
 * Lets others go first. What is parked is tried again after 1, 2, 4 … seconds, up to five minutes;
 * what merely got no answer after one.
 */
export async function postponeStarts(
  client: Queryable,
  postponed: readonly Postponed[],
): Promise<void> {
  await client.query(
    /*sql*/ `
      update twinwrite.outbox o
        set attempts = o.attempts + 1, parked = coalesce(p.parked, o.parked),
          due = clock_timestamp() + case when p.parked is null then 1 else least(2 ^ least(o.attempts, 9), 300) end * interval '1 second'
        from unnest($1::bigint[], $2::text[]) p (id, parked) where o.id = p.id`,
    [postponed.map(({ id }) => id), postponed.map(({ parked }) => parked ?? null)],
  );
}

export async function countStarts(client: Queryable, taskQueue: string): Promise<OutboxBacklog> {
  const { rows } = await client.query<OutboxBacklog>(
    /*sql*/ `
      select (count(*) filter (where parked is null))::int as waiting, count(parked)::int as parked,
        coalesce(extract(epoch from clock_timestamp() - min(at)), 0)::float8 as "oldestSeconds"
      from (select o.parked, o.at from twinwrite.outbox o where o.task_queue = $1 order by o.due limit $2) o`,
    [taskQueue, COUNT_AT_MOST],
  );
  return rows[0] ?? { waiting: 0, parked: 0, oldestSeconds: 0 };
}
