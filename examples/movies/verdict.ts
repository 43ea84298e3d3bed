import type { Db } from 'mongodb';
import type { Pool } from 'pg';
import { judge, type StoredDocument, type Submitted, type Verdict } from '../support/verdict';

/**
 * Reads both stores and judges the import. It knows the tables and the collection, and nothing of
 * Twinwrite.
 */
export async function readVerdict(
  postgres: Pool,
  db: Db,
  submitted: readonly Submitted[],
): Promise<Verdict> {
  return judge(submitted, { rows: await readRows(postgres), documents: await readDocuments(db) });
}

/** PostgreSQL itself puts the document together here: another way to the same thing. */
async function readRows(postgres: Pool): Promise<Map<string, Record<string, unknown>>> {
  const { rows } = await postgres.query<{ id: string; document: Record<string, unknown> }>(`
    select movie.id, jsonb_strip_nulls(jsonb_build_object(
      '_id', movie.id,
      'title', title,
      'releasedOn', to_char(released_on, 'YYYY-MM-DD'),
      'distributor', (select name from distributor where distributor.id = distributor_id),
      'director', (select name from director where director.id = director_id),
      'genre', (select name from genre where genre.id = genre_id),
      'source', source,
      'creativeType', creative_type,
      'mpaaRating', mpaa_rating,
      'runningTimeMinutes', running_time_minutes,
      'dollars', jsonb_build_object(
        'usGross', us_gross::text,
        'worldwideGross', worldwide_gross::text,
        'usDvdSales', us_dvd_sales::text,
        'productionBudget', production_budget::text
      ),
      'ratings', jsonb_build_object(
        'rottenTomatoes', rotten_tomatoes,
        'imdb', imdb_rating,
        'imdbVotes', imdb_votes
      )
    )) as document
    from movie`);
  return new Map(rows.map(({ id, document }) => [id, document]));
}

async function readDocuments(db: Db): Promise<Map<string, StoredDocument>> {
  const documents = await db
    .collection<StoredDocument>('movies', { readConcern: 'majority', readPreference: 'primary' })
    .find()
    .toArray();
  return new Map(documents.map((document) => [document._id, document]));
}
