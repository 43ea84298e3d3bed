import { type Collection, type CreateIndexesOptions, type IndexSpecification, Long } from 'mongodb';
import { readVersionedImages } from '../../src/activities/image';
import { writeInTurn } from '../../src/activities/mongo/projection-turns';
import { defineProjection, type Projection } from '../../src/domain/projection';
import type { World } from '../support/world';

/** A document as tests look at it. */
interface Person {
  _id: string;
  _tw?: { version: number | Long; live: boolean };
  [field: string]: unknown;
}

/** What Postgres has of somebody; any JSON, so that each test has the keys that it needs. */
type Content = Readonly<Record<string, unknown>>;

/**
 * A projection of people, and its truth in Postgres, which a test changes row by row without a
 * workflow: `put` commits a new version, `drive` runs the Mongo leg for some of them.
 */
export interface People {
  readonly projection: Projection;
  readonly collection: Collection<Person>;
  /** Commits one transaction that gives each id its content, or takes it away. */
  put(rows: Readonly<Record<string, Content | undefined>>): Promise<void>;
  /** Writes what Postgres has of these, as the leg of an update of theirs does. */
  drive(...ids: string[]): Promise<void>;
  /** `id: content` of every live document. */
  read(): Promise<Record<string, Content>>;
  versionOf(id: string): Promise<number>;
}

let sequence = 0;

export async function openPeople(
  world: World,
  options: {
    readonly unique?: IndexSpecification;
    readonly index?: CreateIndexesOptions;
    /** The index has the options given, and is not partial on the live marker by itself. */
    readonly isBare?: boolean;
    readonly owns?: readonly string[];
    readonly validator?: object;
    readonly budgetMillis?: number;
  } = {},
): Promise<People> {
  const name = `people_${++sequence}`;
  const { postgres } = world;
  const db = world.mongo.db();
  await postgres.query(`create table ${name} (id text primary key, content jsonb not null)`);
  const { validator = {} } = options;
  const collection = await db.createCollection<Person>(name, { validator });
  if (options.unique !== undefined) {
    const live = options.isBare === true ? {} : { partialFilterExpression: { '_tw.live': true } };
    await collection.createIndex(options.unique, { unique: true, ...live, ...options.index });
  }
  const projection = defineProjection({
    collection: name,
    ...(options.owns === undefined ? {} : { owns: options.owns }),
    image: async ({ postgres: client, ids }) => {
      const { rows } = await client.query<{ id: string; content: Content }>(
        `select id, content from ${name} where id = any($1)`,
        [ids],
      );
      return rows.map(({ id, content }) => ({ ...content, _id: id }));
    },
  });

  const put: People['put'] = async (rows) => {
    const client = await postgres.connect();
    try {
      await client.query('begin');
      await client.query('select twinwrite.bump($1)', [
        Object.keys(rows).map((id) => `${name}/${id}`),
      ]);
      for (const [id, content] of Object.entries(rows)) {
        await client.query(
          content === undefined
            ? `delete from ${name} where id = $1 and $2::jsonb is null`
            : `insert into ${name} values ($1, $2) on conflict (id) do update set content = excluded.content`,
          [id, content === undefined ? null : JSON.stringify(content)],
        );
      }
      await client.query('commit');
    } finally {
      client.release();
    }
  };
  const drive: People['drive'] = async (...ids) => {
    const references = ids.map((id) => projection.document(id));
    const own = new Set(ids.map((id) => `${name}/${id}`));
    const until = performance.now() + (options.budgetMillis ?? 3_000);
    for (const image of await readVersionedImages(postgres, 2_000, references)) {
      await writeInTurn({ db, postgres, ticket: '0', own, until }, image);
    }
  };
  const read: People['read'] = async () => {
    const found = await collection.find(projection.live).sort({ _id: 1 }).toArray();
    return Object.fromEntries(found.map(({ _id, _tw, ...content }) => [_id, content]));
  };
  const versionOf: People['versionOf'] = async (id) => {
    const { rows } = await postgres.query<{ version: string }>(
      'select version from twinwrite.entity where key = $1',
      [`${name}/${id}`],
    );
    return Number(rows[0]?.version);
  };
  return { projection, collection, put, drive, read, versionOf };
}

export function stamp(version: number, live = true) {
  return { version: Long.fromNumber(version), live };
}

/** Runs the commands of a message, as a person would paste them into mongosh. */
export async function runCommands({ collection }: People, message: string): Promise<void> {
  const create = /createIndex\((\{.*?\}), (\{.*\})\) and then/.exec(message);
  const drop = /dropIndex\((".*?")\)/.exec(message);
  if (create?.[1] === undefined || create[2] === undefined || drop?.[1] === undefined) {
    throw new Error(`no commands in: ${message}`);
  }
  await collection.createIndex(JSON.parse(create[1]), JSON.parse(create[2]));
  await collection.dropIndex(JSON.parse(drop[1]));
}
