import { randomUUID } from 'node:crypto';
import { defineCrossStoreUpdate, defineProjection } from 'twinwrite';
import { z } from 'zod';
import type { World } from '../support/world';

/** Pages that several people edit: what an edit expects is the version that its author saw. */

const EDIT = z.strictObject({
  edit: z.string(),
  page: z.string(),
  /** An empty one deletes the page. */
  body: z.string().max(1_000),
  /** A second page that gets the same body. */
  copy: z.string().optional(),
  lock: z.string().optional(),
});

export type Edit = z.input<typeof EDIT>;

export const pages = defineProjection({
  collection: 'pages',
  image: async ({ postgres, ids }) => {
    const { rows } = await postgres.query<{ _id: string; body: string }>(
      'select id as _id, body from page where id = any($1)',
      [ids],
    );
    return rows;
  },
});

const parts = {
  input: EDIT,
  token: (input: Edit) => input.edit,
  entities: ({ lock }: Edit) => (lock === undefined ? [] : [lock]),
  legTimeoutMillis: 2_000,
  mongo: {
    project: ({ page, copy }: Edit) =>
      [page, ...(copy === undefined ? [] : [copy])].map((id) => pages.document(id)),
  },
};

/** Two kinds of one edit: with a way back, which holds its page until it is settled, and without. */
export function editKinds() {
  const apply = defineCrossStoreUpdate({
    ...parts,
    name: 'editFree',
    postgres: {
      apply: async ({ client, input: { edit: token, page, body, copy } }) => {
        await client.query(`insert into edit (id) values ($1)`, [token]);
        for (const id of copy === undefined ? [page] : [page, copy]) {
          const sql =
            body === ''
              ? `delete from page where id = $1 and $2 = ''`
              : `insert into page (id, body) values ($1, $2) on conflict (id) do update set body = excluded.body`;
          await client.query(sql, [id, body]);
        }
        return { edit: token };
      },
    },
  });
  const held = defineCrossStoreUpdate({
    ...parts,
    name: 'editHeld',
    postgres: {
      ...apply.postgres,
      undo: async ({ client, input: { page } }) => {
        await client.query(`update page set body = 'undone' where id = $1`, [page]);
      },
    },
  });
  return { free: apply, held };
}

/** MongoDB refuses a page with this body. */
export const REFUSED = 'refused';

export async function preparePages(world: World): Promise<void> {
  await world.postgres.query(
    'create table page (id text primary key, body text not null); create table edit (id text primary key)',
  );
  await world.mongo.db().createCollection('pages', { validator: { body: { $ne: REFUSED } } });
}

export function edit(overrides: Partial<Edit> = {}): Edit {
  return { edit: randomUUID(), page: randomUUID(), body: 'text', ...overrides };
}

/** What a page's reader has before them. */
export async function readPage(world: World, id: string) {
  return await world.mongo
    .db()
    .collection<{ _id: string; body: string }>('pages')
    .findOne({ _id: id, ...pages.live }, { readConcern: 'majority' });
}

/** Everything that the ledger and the queue have of a token or a page. */
export async function tracesOf(world: World, { edit: token, page }: Edit): Promise<string[]> {
  const { rows } = await world.postgres.query<{ what: string }>(
    `select 'ledger' as what from twinwrite.ledger where token = $1
      union all select 'pending' from twinwrite.pending where $1 = any(tokens)
      union all select 'edit' from edit where id = $1
      union all select 'waiting' from twinwrite.waiting where key = $2
      union all select 'held' from twinwrite.entity where key = $2 and (holder is not null or waiting <> 0)`,
    [token, `pages/${page}`],
  );
  return rows.map(({ what }) => what);
}

/** The version that Postgres has of a page. */
export async function versionIn(world: World, page: string): Promise<string | undefined> {
  const { rows } = await world.postgres.query<{ version: string }>(
    'select version::text from twinwrite.entity where key = $1',
    [`pages/${page}`],
  );
  return rows[0]?.version;
}
