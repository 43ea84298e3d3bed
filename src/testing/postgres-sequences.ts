import type { Pool } from 'pg';
import { ownRelations } from '../activities/postgres/migrate';
import { quoted } from './postgres-tables';

interface Sequence {
  readonly schema: string;
  readonly name: string;
}

/** Where a sequence stands. As strings: a bigint does not fit a number. */
interface Position {
  readonly name: string;
  readonly last: string;
  readonly called: boolean;
}

export type Positions = readonly Position[];

/**
 * The application's sequences. No rollback takes back what they gave out, which is right, and would
 * make two runs of the same update look different: an attempt that was rolled back is followed by
 * one with other ids. So a check turns them back to where the attempt began.
 */
export class Sequences {
  private constructor(
    private readonly pool: Pool,
    private readonly sequences: readonly Sequence[],
  ) {}

  static async find(pool: Pool): Promise<Sequences> {
    const { rows } = await pool.query<Sequence>(
      /*sql*/ `select schemaname as schema, sequencename as name from pg_sequences
        where not (schemaname = 'twinwrite' and sequencename = any($1))`,
      [[...ownRelations()]],
    );
    return new Sequences(pool, rows);
  }

  async read(): Promise<Positions> {
    if (this.sequences.length === 0) return [];
    const parts = this.sequences.map(({ schema, name }, index) => {
      const full = `${quoted(schema)}.${quoted(name)}`;
      return `select $${index + 1} as name, last_value::text as last, is_called as called from ${full}`;
    });
    const names = this.sequences.map(({ schema, name }) => `${quoted(schema)}.${quoted(name)}`);
    const { rows } = await this.pool.query<Position>(parts.join(' union all '), names);
    return rows;
  }

  async turnBack(positions: Positions): Promise<void> {
    if (positions.length === 0) return;
    await this.pool.query(
      /*sql*/ `select setval(p.name::regclass, p.last, p.called) from unnest($1::text[], $2::bigint[], $3::bool[]) p (name, last, called)`,
      [
        positions.map(({ name }) => name),
        positions.map(({ last }) => last),
        positions.map(({ called }) => called),
      ],
    );
  }
}
