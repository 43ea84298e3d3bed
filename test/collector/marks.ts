import { randomUUID } from 'node:crypto';
import { defineCrossStoreUpdate, defineProjection, type PostgresLeg } from 'twinwrite';
import { z } from 'zod';
import { eventually } from '../support/eventually';
import type { World } from '../support/world';

/**
 * Updates of which every run leaves a mark of its own in each store: one that is applied twice has
 * two.
 */

export interface MarkHooks {
  /** Runs at the end of the undo in Postgres. */
  undo?: (id: string) => void;
  /** Runs before the Mongo leg writes: in the image, or in the transaction. */
  mongo?: (id: string) => Promise<void> | void;
}

type Refusing = 'nobody' | 'apply' | 'mongo';

const input = z.strictObject({
  id: z.string().min(1),
  refusedBy: z.enum(['nobody', 'apply', 'mongo']).optional(),
});

export type Mark = z.input<typeof input>;

const LEG_TIMEOUT_MILLIS = 2_000;

export async function prepareMarks(world: World): Promise<void> {
  await world.postgres.query(
    'create table mark (id text not null, run uuid not null default gen_random_uuid(), refused_by text)',
  );
  const validator = { refusedBy: { $ne: 'mongo' } };
  await world.mongo.db().createCollection('marks', { validator });
  await world.mongo.db().createCollection('projected_marks', { validator });
}

function postgresLeg(hooks: MarkHooks): PostgresLeg<z.output<typeof input>, { marked: boolean }> {
  return {
    apply: async ({ client, input: { id, refusedBy }, refuse }) => {
      if (refusedBy === 'apply') refuse('by the test');
      await client.query('insert into mark (id, refused_by) values ($1, $2)', [id, refusedBy]);
      return { marked: true };
    },
    undo: async ({ client, input: { id } }) => {
      await client.query('delete from mark where id = $1', [id]);
      hooks.undo?.(id);
    },
  };
}

export function transactionMark(hooks: MarkHooks = {}) {
  return defineCrossStoreUpdate({
    name: 'transactionMark',
    input,
    token: ({ id }) => id,
    legTimeoutMillis: LEG_TIMEOUT_MILLIS,
    postgres: postgresLeg(hooks),
    mongo: {
      transaction: {
        apply: async ({ db, session, input: { id, refusedBy } }) => {
          await hooks.mongo?.(id);
          await db.collection('marks').insertOne({ id, refusedBy }, { session });
        },
        undo: async ({ db, session, input: { id } }) => {
          await db.collection('marks').deleteMany({ id }, { session });
        },
      },
    },
  });
}

export function projectionMark(hooks: MarkHooks = {}) {
  const marks = defineProjection({
    collection: 'projected_marks',
    image: async ({ postgres, ids }) => {
      for (const id of ids) await hooks.mongo?.(id);
      const { rows } = await postgres.query<{ id: string; marks: number; refused_by: string }>(
        'select id, count(*)::int as marks, max(refused_by) as refused_by from mark where id = any($1) group by id',
        [ids],
      );
      return rows.map((row) => ({ _id: row.id, marks: row.marks, refusedBy: row.refused_by }));
    },
  });
  return defineCrossStoreUpdate({
    name: 'projectionMark',
    input,
    token: ({ id }) => id,
    legTimeoutMillis: LEG_TIMEOUT_MILLIS,
    postgres: postgresLeg(hooks),
    mongo: { project: ({ id }) => [marks.document(id)] },
  });
}

export type MarkDefinition = ReturnType<typeof transactionMark | typeof projectionMark>;

/** How many marks the update has left in each store. */
export async function marksOf(world: World, { name, form }: MarkDefinition, id: string) {
  const { rowCount } = await world.postgres.query('select 1 from mark where id = $1', [id]);
  const db = world.mongo.db();
  const projected = await db
    .collection<{ _id: string; marks: number }>('projected_marks')
    .findOne({ _id: id, '_tw.live': true });
  const documents = await db.collection('marks').countDocuments({ id });
  const mongo = form === 'projection' ? (projected?.marks ?? 0) : documents;
  const ledger = await world.postgres.query('select 1 from twinwrite.ledger where token = $1', [
    id,
  ]);
  const mongoLedger = await db
    .collection<{ _id: string }>('twinwrite_ledger')
    .countDocuments({ _id: `${name}/${id}` });
  return { postgres: rowCount, mongo, ledger: ledger.rowCount, mongoLedger };
}

/**
 * Starts an update under another workflow id: for Temporal it is as if it had forgotten the token.
 */
export async function startRaw(world: World, { name }: MarkDefinition, mark: Mark) {
  return await world.temporal.workflow.start('crossStoreUpdate', {
    workflowId: `raw/${mark.id}/${randomUUID()}`,
    taskQueue: world.name,
    args: [{ definition: name, token: mark.id, input: mark }],
  });
}

/** Settles an update that Temporal has forgotten, and makes it old. */
export async function settleLongAgo(
  world: World,
  definition: MarkDefinition,
  refusedBy: Refusing = 'nobody',
): Promise<Mark> {
  const mark: Mark = { id: randomUUID(), refusedBy };
  await (await startRaw(world, definition, mark)).result();
  await makeOld(world, [mark.id]);
  return mark;
}

const AGE_DAYS = 30;

/** Both ledgers remember what was said of these tokens as long ago. */
export async function makeOld(world: World, ids: readonly string[]): Promise<void> {
  await world.postgres.query(
    `update twinwrite.ledger set at = at - $2 * interval '1 day' where token = any($1)`,
    [ids, AGE_DAYS],
  );
  const names = ids.flatMap((id) => [`transactionMark/${id}`, `projectionMark/${id}`]);
  await world.mongo
    .db()
    .collection<{ _id: string; at: Date }>('twinwrite_ledger')
    .updateMany({ _id: { $in: names } }, [
      { $set: { at: { $dateSubtract: { startDate: '$at', unit: 'day', amount: AGE_DAYS } } } },
    ]);
}

/** So many settled old updates in both ledgers, as the transaction form leaves them. */
export async function fillLedgers(world: World, count: number): Promise<void> {
  await world.postgres.query(
    `insert into twinwrite.ledger (definition, token, state, ticket, fingerprint, result, at)
      select 'transactionMark', 'fill-' || gen_random_uuid(), 'applied', nextval('twinwrite.ticket'), '1:x', 'null', now() - interval '30 days'
      from generate_series(1, $1)`,
    [count],
  );
  const { rows } = await world.postgres.query<{ token: string }>(
    `select token from twinwrite.ledger where token like 'fill-%'`,
  );
  const at = new Date(Date.now() - AGE_DAYS * 24 * 3_600_000);
  await world.mongo
    .db()
    .collection<{ _id: string }>('twinwrite_ledger')
    .bulkWrite(
      rows.map(({ token }) => ({
        updateOne: {
          filter: { _id: `transactionMark/${token}` },
          update: { $setOnInsert: { state: 'applied', fingerprint: '1:x', at } },
          upsert: true,
        },
      })),
    );
}

/** Deletes a closed workflow from Temporal, which takes it some seconds. */
export async function startForgetting({ temporal }: World, workflowId: string) {
  await temporal.connection.workflowService.deleteWorkflowExecution({
    namespace: temporal.options.namespace,
    workflowExecution: { workflowId },
  });
  const describe = async () => await temporal.workflow.getHandle(workflowId).describe();
  return async () =>
    await eventually(
      () =>
        describe().then(
          () => undefined,
          () => true,
        ),
      `Temporal forgets ${workflowId}`,
      60_000,
    );
}

/** Holds every deletion from Postgres's ledger, after the rows were found and locked. */
export async function holdDeletions({ postgres }: World) {
  await postgres.query(`
    create or replace function hold_deletion() returns trigger language plpgsql as $$
    begin
      -- The collector's own limit would end the wait.
      perform set_config('lock_timeout', '0', true);
      perform pg_advisory_xact_lock_shared(29);
      return null;
    end $$;
    create or replace trigger hold_deletion before delete on twinwrite.ledger for each statement execute function hold_deletion()`);
  const client = await postgres.connect();
  await client.query('select pg_advisory_lock(29)');
  return {
    /** Waits until a deletion is held. */
    reached: async () =>
      await eventually(async () => {
        const held = await postgres.query(
          `select 1 from pg_locks l join pg_database d on d.oid = l.database
            where d.datname = current_database() and l.locktype = 'advisory' and not l.granted`,
        );
        return held.rowCount === 0 ? undefined : true;
      }, 'a deletion is held'),
    release: async () => {
      await client.query('select pg_advisory_unlock(29)');
      client.release();
      await postgres.query('drop trigger if exists hold_deletion on twinwrite.ledger');
    },
  };
}
