import type { Db } from 'mongodb';
import type { Pool } from 'pg';

/** What stands between the stores at one moment. */
export interface Unsettled {
  /** Updates that were submitted, and of which the ledger has no outcome. */
  readonly unsettled: number;
  /** Those of them that have written something: they have a row in `twinwrite.pending`. */
  readonly begun: number;
  /**
   * Those of them whose order is in PostgreSQL and whose document is not in MongoDB: what a plain
   * double write would have lost here.
   */
  readonly halfWritten: number;
}

const NOTHING = { known: 0, begun: [], ordered: [] };

/** Counts from the stores themselves. */
export async function countUnsettled(
  postgres: Pool,
  db: Db,
  submitted: number,
): Promise<Unsettled> {
  const { rows } = await postgres.query<{ known: number; begun: string[]; ordered: string[] }>(
    `with begun as (select unnest(tokens) as token from twinwrite.pending)
     select (select count(*)::int from twinwrite.ledger) as known,
            array(select token from begun) as begun,
            array(select token from begun join orders on orders.id::text = token) as ordered`,
  );
  const { known, begun, ordered } = rows[0] ?? NOTHING;
  const projected = await db
    .collection<{ _id: string }>('orders')
    .countDocuments({ _id: { $in: ordered }, '_tw.live': true });
  return {
    unsettled: submitted - (known - begun.length),
    begun: begun.length,
    halfWritten: ordered.length - projected,
  };
}
