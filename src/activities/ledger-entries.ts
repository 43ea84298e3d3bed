import type { MongoClient } from 'mongodb';
import type { Pool } from 'pg';
import { find } from './mongo/ledger';
import { isMissingSchema } from './postgres/errors';

/** What the view `twinwrite.updates` says of one update. */
export interface PostgresEntry {
  readonly state: string;
  readonly postgresLeg: string;
  readonly mongoLeg: string;
  readonly at: string;
  readonly workflow: string;
  /** Its driver meant to be done by now. Never of a settled one. */
  readonly isOverdue: boolean;
  /** Known while it is not settled. */
  readonly form: 'projection' | 'transaction' | null;
  readonly undoable: boolean | null;
  readonly entities: readonly string[] | null;
  readonly documents: readonly string[] | null;
  readonly result: string | null;
  readonly reason: string | null;
  /** Which step needs somebody, and why; null while it runs by itself. */
  readonly parked: string | null;
}

/**
 * What MongoDB's ledger says of one update; a projection has no entry there, its documents carry
 * its version.
 */
export interface MongoEntry {
  readonly state: string;
  readonly at: string;
}

export async function readPostgresEntry(
  postgres: Pool,
  definition: string,
  token: string,
): Promise<PostgresEntry | undefined> {
  try {
    const { rows } = await postgres.query<Omit<PostgresEntry, 'at'> & { at: Date }>(
      /*sql*/ `select state, postgres_leg as "postgresLeg", mongo_leg as "mongoLeg", at, workflow, coalesce(due < now(), false) as "isOverdue", form::text, undoable, entities, documents, result, reason, parked
        from twinwrite.updates where definition = $1 and token = $2`,
      [definition, token],
    );
    const [row] = rows;
    return row === undefined ? undefined : { ...row, at: row.at.toISOString() };
  } catch (error) {
    // A database that was never migrated knows no update.
    if (isMissingSchema(error)) return undefined;
    throw error;
  }
}

export async function readMongoEntry(
  mongo: MongoClient,
  definition: string,
  token: string,
): Promise<MongoEntry | undefined> {
  const found = await find(mongo.db(), { definition, token });
  return found === undefined ? undefined : { state: found.state, at: found.at.toISOString() };
}
