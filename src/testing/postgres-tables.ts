import type { Pool, PoolClient } from 'pg';
import { isDatabaseError } from '../activities/postgres/errors';
import { ownRelations } from '../activities/postgres/migrate';
import { TwinwriteError } from '../domain/errors';
import type { TableState } from './table-state';

interface Column {
  readonly name: string;
  readonly type: string;
  readonly isGenerated: boolean;
}

interface Table {
  readonly schema: string;
  readonly name: string;
  /** Found without its schema. */
  readonly isVisible: boolean;
  readonly columns: readonly Column[];
  readonly key: readonly string[];
}

interface StoredRow {
  readonly ctid: string;
  /** Each column as text, which every type of PostgreSQL takes back as it was. */
  readonly values: readonly (string | null)[];
}

/** Everything that the tables of a database hold, ready to be written back. */
export type PostgresSnapshot = readonly {
  readonly table: Table;
  readonly rows: readonly StoredRow[];
}[];

/** What tells the stores apart from a restored one must not go back itself. */
const OWN_TO_KEEP = ['store', 'migration'];

/** The tables of a database: the application's and the ledger's, none of an extension. */
export class Tables {
  private constructor(
    private readonly pool: Pool,
    private readonly tables: readonly Table[],
    private readonly maxRows: number,
  ) {}

  /**
   * Those that there are now; one that is made later is not looked at.
   *
   * @throws TwinwriteError `InvalidConfiguration` when the role may not restore them.
   */
  static async find(pool: Pool, maxRows: number): Promise<Tables> {
    await inTransaction(pool, (client) => stopTriggers(client).catch(explainRole));
    const { rows } = await pool.query<Table>(TABLES, [OWN_TO_KEEP]);
    return new Tables(pool, rows, maxRows);
  }

  /**
   * Reads all of them as of one moment.
   *
   * @throws TwinwriteError `InvalidConfiguration` when they have more rows than the check can take.
   */
  async read(): Promise<PostgresSnapshot> {
    if (this.tables.length === 0) return [];
    const { rows } = await this.pool.query<StoredRow & { readonly table: number }>(
      `${this.tables.map(selectOf).join(' union all ')} limit ${this.maxRows + 1}`,
    );
    if (rows.length > this.maxRows) throw tooLarge('PostgreSQL', this.maxRows);
    return this.tables.map((table, index) => {
      return { table, rows: rows.filter((row) => row.table === index) };
    });
  }

  /**
   * Writes back what a snapshot held, row by row where something differs. No trigger of the
   * application runs, and no foreign key is looked at: what is written back was consistent.
   */
  async restore(to: PostgresSnapshot): Promise<void> {
    const changes = (await this.read()).map(({ table, rows }, index) => {
      const wanted = to[index]?.rows ?? [];
      return { table, extra: leftOver(rows, wanted), missing: leftOver(wanted, rows) };
    });
    if (changes.every(({ extra, missing }) => extra.length + missing.length === 0)) return;
    await inTransaction(this.pool, async (client) => {
      await stopTriggers(client);
      for (const { table, extra, missing } of changes) {
        await deleteRows(client, table, extra);
        await insertRows(client, table, missing);
      }
    });
  }
}

const TABLES = /*sql*/ `
  select n.nspname as schema, c.relname as name, pg_table_is_visible(c.oid) as "isVisible",
    coalesce((select json_agg(json_build_object('name', a.attname, 'type', format_type(a.atttypid, a.atttypmod),
        'isGenerated', a.attgenerated <> '') order by a.attnum)
      from pg_attribute a where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped), '[]') as columns,
    coalesce((select json_agg(a.attname order by array_position(i.indkey::int2[], a.attnum))
      from pg_index i join pg_attribute a on a.attrelid = c.oid and a.attnum = any(i.indkey)
      where i.indrelid = c.oid and i.indisprimary), '[]') as key
  from pg_class c join pg_namespace n on n.oid = c.relnamespace
  where c.relkind = 'r' and c.relpersistence <> 't' and n.nspname !~ '^pg_' and n.nspname <> 'information_schema'
    and not (n.nspname = 'twinwrite' and c.relname = any($1))
    and not exists (select from pg_depend d where d.classid = 'pg_class'::regclass and d.objid = c.oid and d.deptype = 'e')
  order by 1, 2`;

function selectOf(table: Table, index: number): string {
  const values = table.columns.map(({ name }) => `${quoted(name)}::text`).join(', ');
  return `select ${index} as table, ctid::text as ctid, array[${values}]::text[] as values from only ${nameOf(table)}`;
}

async function stopTriggers(client: PoolClient): Promise<void> {
  await client.query('set local session_replication_role = replica');
}

async function deleteRows(
  client: PoolClient,
  table: Table,
  rows: readonly StoredRow[],
): Promise<void> {
  if (rows.length === 0) return;
  const sql = `delete from only ${nameOf(table)} where ctid = any($1::tid[])`;
  await client.query(sql, [rows.map(({ ctid }) => ctid)]);
}

export function tooLarge(store: string, maxRows: number): TwinwriteError {
  const problem = `${store} holds more than ${maxRows} rows or documents. checkDefinition reads and restores all of them many times: give it a small database of its own.`;
  return new TwinwriteError('InvalidConfiguration', { problem });
}

/** The application's tables among them. */
export function tableStatesOf(snapshot: PostgresSnapshot): TableState[] {
  const own = ownRelations();
  const isOwn = ({ schema, name }: Table) => schema === 'twinwrite' && own.has(name);
  return snapshot.filter(({ table }) => !isOwn(table)).map(stateOf);
}

function stateOf({ table, rows }: PostgresSnapshot[number]): TableState {
  const { schema, isVisible, columns, key } = table;
  const name = isVisible ? table.name : `${schema}.${table.name}`;
  const rowOf = ({ values }: StoredRow) =>
    new Map(columns.map((column, index) => [column.name, values[index] ?? null]));
  return { title: `PostgreSQL table ${name}`, name, key, rows: rows.map(rowOf) };
}

/** Those of the rows that are not among the others, equal ones by count. */
function leftOver(rows: readonly StoredRow[], others: readonly StoredRow[]): StoredRow[] {
  const counts = new Map<string, number>();
  for (const { values } of others) {
    const text = JSON.stringify(values);
    counts.set(text, (counts.get(text) ?? 0) + 1);
  }
  return rows.filter(({ values }) => {
    const text = JSON.stringify(values);
    const count = counts.get(text) ?? 0;
    counts.set(text, count - 1);
    return count <= 0;
  });
}

async function insertRows(
  client: PoolClient,
  table: Table,
  rows: readonly StoredRow[],
): Promise<void> {
  if (rows.length === 0) return;
  const written = table.columns.flatMap((column, index) =>
    column.isGenerated ? [] : [{ ...column, index }],
  );
  const names = written.map(({ name }) => quoted(name)).join(', ');
  const values = written.map(({ type }, place) => `v.c${place}::${type}`).join(', ');
  const lists = written.map((_, place) => `$${place + 1}::text[]`).join(', ');
  const aliases = written.map((_, place) => `c${place}`).join(', ');
  await client.query(
    `insert into ${nameOf(table)} (${names}) overriding system value
       select ${values} from unnest(${lists}) as v(${aliases})`,
    written.map(({ index }) => rows.map((row) => row.values[index] ?? null)),
  );
}

function explainRole(error: unknown): never {
  if (!isDatabaseError(error) || error.code !== '42501') throw error;
  const problem =
    'checkDefinition puts rows back without running triggers, for which its role must be a superuser of the test server, or be granted it (PostgreSQL 15): grant set on parameter session_replication_role to ….';
  throw new TwinwriteError('InvalidConfiguration', { problem }, { cause: error });
}

async function inTransaction(
  pool: Pool,
  work: (client: PoolClient) => Promise<void>,
): Promise<void> {
  const client = await pool.connect();
  try {
    await client.query('begin');
    await work(client);
    await client.query('commit');
    client.release();
  } catch (error) {
    // A closed connection rolls back.
    client.release(true);
    throw error;
  }
}

function nameOf({ schema, name }: Pick<Table, 'schema' | 'name'>): string {
  return `${quoted(schema)}.${quoted(name)}`;
}

export function quoted(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}
