import { defineCrossStoreUpdate, defineProjection, type PostgresLeg } from 'twinwrite';
import { z } from 'zod';
import type { World } from '../support/world';

/** A note in each store, in builds that differ by what a deploy may get wrong. */
const input = z.strictObject({ id: z.string(), text: z.string() });

export type Note = z.output<typeof input>;

/** A careless deploy: nobody sends this yet. */
const withMore = input.extend({ approvedBy: z.string() }) as unknown as typeof input;

export async function prepareNotes({ postgres, mongo }: World): Promise<void> {
  await postgres.query('create table note (id text primary key, text text not null)');
  await mongo.db().createCollection('notes_tx');
}

interface Changes {
  readonly apply?: PostgresLeg<Note, null>['apply'];
  readonly undo?: PostgresLeg<Note, null>['undo'] | 'none';
  readonly image?: () => void;
  readonly mongo?: () => void;
  readonly mongoUndo?: 'none';
  readonly entities?: (note: Note) => string[];
  readonly document?: (id: string) => string;
  /** Runs as a refinement of the schema. */
  readonly accepts?: () => boolean;
  /** The schema asks for a field that no input has yet. */
  readonly asksForMore?: true;
}

export type Build = ReturnType<typeof projectionBuild>;

export function projectionBuild(name: string, changes: Changes = {}) {
  const notes = defineProjection({
    collection: `notes_${name}`,
    image: async ({ postgres, ids }) => {
      changes.image?.();
      const { rows } = await postgres.query<{ id: string; text: string }>(
        'select id, text from note where id = any($1)',
        [ids],
      );
      return rows.map(({ id, text }) => ({ _id: id, text }));
    },
  });
  const { document = (id: string) => id } = changes;
  return build(name, changes, { project: ({ id }: Note) => [notes.document(document(id))] });
}

export function transactionBuild(name: string, changes: Changes = {}) {
  const undo: TransactionBuild['transaction']['undo'] = async ({ db, session, input: { id } }) => {
    await db.collection<{ _id: string }>('notes_tx').deleteOne({ _id: id }, { session });
  };
  return build(name, changes, {
    transaction: {
      apply: async ({ db, session, input: { id, text } }) => {
        changes.mongo?.();
        const notes = db.collection<{ _id: string; text: string }>('notes_tx');
        await notes.insertOne({ _id: id, text }, { session });
      },
      ...(changes.mongoUndo === 'none' || changes.undo === 'none' ? {} : { undo }),
    },
  });
}

type TransactionBuild = Extract<
  Parameters<typeof defineCrossStoreUpdate<typeof input, null>>[0]['mongo'],
  { readonly transaction: object }
>;

function build(
  name: string,
  { apply, undo, entities, accepts = () => true, asksForMore }: Changes,
  mongo: Parameters<typeof defineCrossStoreUpdate<typeof input, null>>[0]['mongo'],
) {
  const undoOfToday: PostgresLeg<Note, null>['undo'] = async ({ client, input: { id } }) => {
    await client.query('delete from note where id = $1', [id]);
  };
  return defineCrossStoreUpdate<typeof input, null>({
    name,
    input: (asksForMore === true ? withMore : input).refine(accepts),
    token: ({ id }) => id,
    entities: entities ?? (({ id }) => [`note:${id}`]),
    postgres: {
      apply:
        apply ??
        (async ({ client, input: { id, text } }) => {
          await client.query('insert into note (id, text) values ($1, $2)', [id, text]);
          return null;
        }),
      ...(undo === 'none' ? {} : { undo: undo ?? undoOfToday }),
    },
    mongo,
  });
}

/** Both stores of one note, in whichever form it is. */
export async function notesOf({ postgres, mongo }: World, { name, form }: Build, id: string) {
  const row = await postgres.query('select from note where id = $1', [id]);
  const collection = form === 'transaction' ? 'notes_tx' : `notes_${name}`;
  const document = await mongo
    .db()
    .collection<{ _id: string }>(collection)
    .findOne({ _id: id, '_tw.live': { $ne: false } });
  return { postgres: row.rowCount === 1, mongo: document !== null };
}
