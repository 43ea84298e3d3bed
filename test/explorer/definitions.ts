import type { Db } from 'mongodb';
import { z } from 'zod';
import type {
  AnyCrossStoreUpdate,
  defineCrossStoreUpdate,
  MongoTransaction,
  PostgresClient,
} from '../../src/domain/definition';
import type { defineProjection } from '../../src/domain/projection';
import type { Modules } from './loader';

/** Every effect is a row, so that what ran twice shows as two, and the order of effects shows. */
export const TABLES = /*sql*/ `
  create table effect (
    number bigint generated always as identity primary key,
    key text not null, token text not null, kind text not null,
    points int not null check (points <> 13), refused boolean not null
  );
`;

export const IMAGE = /*sql*/ `
  select key as _id,
    (count(*) filter (where kind = 'applied'))::int as applied,
    (count(*) filter (where kind = 'undone'))::int as undone,
    count(*) filter (where refused and kind = 'applied') > count(*) filter (where refused and kind = 'undone') as refused
  from effect where key = any($1) group by key
  having count(*) filter (where kind = 'applied') > count(*) filter (where kind = 'undone')`;

const RECORD = /*sql*/ `insert into effect (key, token, kind, points, refused) values ($1, $2, $3, $4, $5)`;

const input = z.strictObject({
  token: z.string(),
  keys: z.array(z.string()),
  /** Who refuses the data, for good. */
  refusedBy: z.enum(['definition', 'postgres', 'mongo']).optional(),
});
export type Input = z.output<typeof input>;

/** What a definition can be: its form, and which of its legs have a way back. */
const KINDS = [
  'free',
  'undoable',
  'owning',
  'both',
  'postgresOnly',
  'forward',
  'redeployed',
  'swallowing',
] as const;
export type Kind = (typeof KINDS)[number];

/** In the transaction form; the others are projections. */
export const TRANSACTIONS: ReadonlySet<string> = new Set<Kind>([
  'both',
  'postgresOnly',
  'forward',
  'redeployed',
  'swallowing',
]);

/** What a callback may meet once in a schedule. */
export interface Steering {
  hasSwallowed: boolean;
}

export const ORDER_COLLECTION = 'order';

/** The definitions of the explorer, as one build of an application has them. */
export function definitionsOf(steering: Steering) {
  return (modules: Modules, build: number): readonly AnyCrossStoreUpdate[] => {
    const domain = modules.import('domain/definition.ts') as {
      defineCrossStoreUpdate: typeof defineCrossStoreUpdate;
    };
    const { defineProjection: projection } = modules.import('domain/projection.ts') as {
      defineProjection: typeof defineProjection;
    };
    return KINDS.map((kind) => {
      const isTransaction = TRANSACTIONS.has(kind);
      const images = projection({
        collection: collectionOf(kind),
        ...(kind === 'owning' ? { owns: ['applied', 'undone', 'refused'] } : {}),
        image: async ({ postgres, ids }) => (await postgres.query(IMAGE, [ids])).rows,
      });
      return domain.defineCrossStoreUpdate({
        name: kind,
        input,
        token: ({ token }) => token,
        entities: ({ keys }) =>
          isTransaction ? keys.map((key) => entityOf(kind, build, key)) : [],
        postgres: {
          apply: async ({ client, input: given, refuse }): Promise<null> => {
            await record(client, given, 'applied');
            if (kind === 'swallowing') await swallow(client, steering);
            if (given.refusedBy === 'definition') refuse('not today');
            return null;
          },
          ...(['free', 'forward', 'swallowing'].includes(kind)
            ? {}
            : {
                undo: async ({ client, input: given }: Undoing) => record(client, given, 'undone'),
              }),
        },
        mongo: isTransaction
          ? { transaction: transactionOf(kind) }
          : { project: ({ keys }: Input) => keys.map((key) => images.document(key)) },
      }) as AnyCrossStoreUpdate;
    });
  };
}

interface Undoing {
  readonly client: PostgresClient;
  readonly input: Input;
}

/** Kinds that share documents belong to one projection's collection. */
const collectionOf = (kind: Kind): string => (kind === 'owning' ? 'owned' : 'documents');

/** A deploy may change what a definition names: what is in flight keeps what was recorded. */
function entityOf(kind: Kind, build: number, key: string): string {
  return kind === 'redeployed' && build > 0 ? `goods:${key}` : `stock:${key}`;
}

async function record(
  client: PostgresClient,
  { token, keys, refusedBy }: Input,
  kind: 'applied' | 'undone',
): Promise<void> {
  const points = refusedBy === 'postgres' ? 13 : 1;
  for (const key of keys) {
    await client.query(RECORD, [key, token, kind, points, refusedBy === 'mongo']);
  }
}

/** A bug that passes: a statement fails, and nobody hears of it. */
async function swallow(client: PostgresClient, steering: Steering): Promise<void> {
  if (steering.hasSwallowed) return;
  steering.hasSwallowed = true;
  await client.query(RECORD, ['other', 'other', 'applied', 13, false]).catch(() => {});
}

interface Writing extends MongoTransaction {
  readonly input: Input;
}

function transactionOf(kind: Kind) {
  const push = async ({ db, session, input: { keys, token } }: Writing, effect: string) => {
    for (const key of keys) {
      await ordersOf(db).updateOne(
        { _id: key },
        { $push: { effects: `${token} ${effect}` } },
        { session, upsert: true },
      );
    }
  };
  return {
    apply: async (context: Writing & { refuse: (reason: string) => never }) => {
      await push(context, 'applied');
      if (context.input.refusedBy === 'mongo') context.refuse('not here');
    },
    ...(kind === 'both' || kind === 'redeployed'
      ? { undo: async (context: Writing) => await push(context, 'undone') }
      : {}),
  };
}

interface Orders {
  readonly _id: string;
  readonly effects: string[];
}

const ordersOf = (db: Db) => db.collection<Orders>(ORDER_COLLECTION);
