import type { Db } from 'mongodb';
import type { Pool } from 'pg';
import { type DocumentReference, entityKeyOf } from '../domain/projection';
import { readImages } from './image';
import { differencesOf, type ImageDifferences } from './image-differences';
import { MAJORITY_READ, type ProjectedDocument, versionOf } from './mongo/projection';
import { isMissingSchema } from './postgres/errors';
import { inTransaction } from './postgres/transaction';

/** What the ledger recorded with a claim and keeps when the update is settled. */
export interface RecordedClaim {
  readonly fingerprint: string;
  /** The input: of an update in the transaction form, or of one that is not settled. */
  readonly input: string | null;
  /** Null where nothing was ever claimed. */
  readonly form: 'projection' | 'transaction' | null;
}

/** One projected document, in both stores. */
export interface DocumentEvidence extends Partial<ImageDifferences> {
  /** Its key among the entities, such as `orders/0198…`. */
  readonly document: string;
  /** Null where PostgreSQL never assigned one. */
  readonly postgresVersion: string | null;
  /** Null where MongoDB has no document of ours. */
  readonly mongoVersion: string | null;
  readonly isLiveInPostgres: boolean;
  readonly isLiveInMongo: boolean;
  /** An unsettled update writes it, and MongoDB may be behind. */
  readonly isInFlight: boolean;
}

const TIMEOUT_MILLIS = 20_000;

export async function readRecordedClaim(
  postgres: Pool,
  definition: string,
  token: string,
): Promise<RecordedClaim | undefined> {
  try {
    const { rows } = await postgres.query<RecordedClaim>(
      /*sql*/ `select l.fingerprint, coalesce(l.input, p.input) as input,
          -- The ledger keeps the input of the transaction form alone.
          case when p.form is not null then p.form::text when l.input is not null then 'transaction'
            when l.state in ('applied', 'undone') then 'projection' end as form
        from twinwrite.ledger l left join twinwrite.pending p using (ticket)
        where l.definition = $1 and l.token = $2`,
      [definition, token],
    );
    return rows[0];
  } catch (error) {
    if (isMissingSchema(error)) return undefined;
    throw error;
  }
}

/**
 * Reads documents from both stores and compares them. MongoDB is read first: PostgreSQL, read later,
 * is never behind it, so that what looks ahead is ahead. It changes nothing.
 */
export async function readDocumentEvidence(
  postgres: Pool,
  db: Db,
  references: readonly DocumentReference[],
): Promise<DocumentEvidence[]> {
  const stored = new Map<string, ProjectedDocument>();
  for (const reference of references) {
    const document = await findDocument(db, reference);
    if (document !== null) stored.set(entityKeyOf(reference), document);
  }
  const options = { timeoutMillis: TIMEOUT_MILLIS, mode: 'snapshot' } as const;
  return await inTransaction(postgres, options, async (client) => {
    const { rows } = await client.query<{ key: string; version: string; isInFlight: boolean }>(
      /*sql*/ `select e.key, e.version::text, exists (select from twinwrite.pending p where e.key = any(p.documents)) as "isInFlight"
        from twinwrite.entity e where e.key = any($1)`,
      [references.map(entityKeyOf)],
    );
    const entities = new Map(rows.map((row) => [row.key, row]));
    const images = await readImages(client, references);
    return images.map(({ reference, image }): DocumentEvidence => {
      const key = entityKeyOf(reference);
      const entity = entities.get(key);
      const document = stored.get(key);
      const differences =
        document === undefined || image === undefined
          ? {}
          : differencesOf(reference.projection, document, image);
      return {
        document: key,
        postgresVersion: entity?.version ?? null,
        mongoVersion: (document && versionOf(document)?.toString()) ?? null,
        isLiveInPostgres: image !== undefined,
        isLiveInMongo: document?._tw?.live === true,
        isInFlight: entity?.isInFlight === true,
        ...differences,
      };
    });
  });
}

async function findDocument(
  db: Db,
  { projection, id }: DocumentReference,
): Promise<ProjectedDocument | null> {
  return await db
    .collection<ProjectedDocument>(projection.collection)
    .findOne({ _id: { $eq: id } }, { ...MAJORITY_READ, maxTimeMS: TIMEOUT_MILLIS });
}
