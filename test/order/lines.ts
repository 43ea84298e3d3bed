import {
  defineCrossStoreUpdate,
  defineProjection,
  type MongoTransaction,
  type PostgresLeg,
  type ProjectionOptions,
  type Refuse,
  type TransactionLeg,
} from 'twinwrite';
import { z } from 'zod';

/**
 * A line is an entity that keeps, in each store, a list of the tokens of its updates. Whatever
 * reorders, loses or doubles an update in one of the stores is seen by comparing two lists.
 */

const input = z.strictObject({
  id: z.string().min(1),
  lines: z.array(z.string()).min(1),
  /** What it locks beside its documents; the lines themselves unless given. */
  entities: z.array(z.string()).optional(),
});

type Visit = z.output<typeof input>;

/** Steps into the legs of an update from outside, by its token. */
export interface Hooks {
  /** Runs inside the Postgres leg, after its write. */
  postgres?: (id: string, refuse: Refuse) => Promise<void> | void;
  /** Runs inside the transaction-form Mongo leg, after its write. */
  mongo?: (id: string, leg: MongoTransaction) => Promise<void> | void;
  /** Runs inside the Postgres undo, after its write. */
  undo?: (id: string) => Promise<void> | void;
  /** Is shown every image of a line that was read, in either leg. */
  image?: (line: string, tokens: readonly string[]) => Promise<void> | void;
}

/** A document of the transaction form. A projected one has a stamp as well. */
export interface List {
  readonly _id: string;
  readonly tokens: string[];
}

export const PROJECTED = 'projected';
export const LISTED = 'listed';

interface LinesOptions {
  readonly hooks?: Hooks;
  readonly legTimeoutMillis?: number;
  /** What a later build locks instead. */
  readonly entities?: (visit: Visit) => string[];
}

const entitiesOf = ({ lines, entities }: Visit): string[] =>
  entities ?? lines.map((line) => `line:${line}`);

/** One definition of each kind. The two of a form write the same documents. */
export function defineLines({
  hooks = {},
  legTimeoutMillis = 4_000,
  entities = entitiesOf,
}: LinesOptions = {}) {
  const shared = { input, token: ({ id }: Visit) => id, entities, legTimeoutMillis };
  const { apply, undo } = postgresLegOf(hooks);
  const projected = defineProjection({ collection: PROJECTED, image: imagesOf(hooks) });
  const project = ({ lines }: Visit) => lines.map((line) => projected.document(line));
  const transaction = transactionLegOf(hooks);
  return {
    freeProjection: defineCrossStoreUpdate({
      ...shared,
      name: 'freeProjection',
      postgres: { apply },
      mongo: { project },
    }),
    projection: defineCrossStoreUpdate({
      ...shared,
      name: 'projection',
      postgres: { apply, undo },
      mongo: { project },
    }),
    forwardTransaction: defineCrossStoreUpdate({
      ...shared,
      name: 'forwardTransaction',
      postgres: { apply },
      mongo: { transaction: { apply: transaction.apply } },
    }),
    transaction: defineCrossStoreUpdate({
      ...shared,
      name: 'transaction',
      postgres: { apply, undo },
      mongo: { transaction },
    }),
  };
}

function postgresLegOf(hooks: Hooks): Required<PostgresLeg<Visit, null>> {
  return {
    apply: async ({ client, input: { id, lines }, refuse }) => {
      // Two legs that are open at once on one line come to the same place, and one is refused.
      for (const line of lines) {
        await client.query(
          `insert into visit (line, place, token)
            select $1, coalesce(max(place), 0) + 1, $2 from visit where line = $1`,
          [line, id],
        );
      }
      await hooks.postgres?.(id, refuse);
      return null;
    },
    undo: async ({ client, input: { id } }) => {
      await client.query('delete from visit where token = $1', [id]);
      await hooks.undo?.(id);
    },
  };
}

function imagesOf(hooks: Hooks): ProjectionOptions['image'] {
  return async ({ postgres, ids }) => {
    const { rows } = await postgres.query<{ line: string; tokens: string[] }>(
      `select line, array_agg(token order by place) as tokens from visit where line = any($1)
        group by line`,
      [ids],
    );
    for (const { line, tokens } of rows) await hooks.image?.(line, tokens);
    return rows.map(({ line, tokens }) => ({ _id: line, tokens }));
  };
}

function transactionLegOf(hooks: Hooks): Required<TransactionLeg<Visit, null>['transaction']> {
  return {
    apply: async ({ db, session, input: { id, lines } }) => {
      for (const line of lines) {
        const change = { $push: { tokens: id } };
        await db.collection<List>(LISTED).updateOne({ _id: line }, change, { session });
      }
      await hooks.mongo?.(id, { db, session });
    },
    undo: async ({ db, session, input: { id, lines } }) => {
      const change = { $pull: { tokens: id } };
      await db.collection<List>(LISTED).updateMany({ _id: { $in: lines } }, change, { session });
    },
  };
}
