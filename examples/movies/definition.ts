import { defineCrossStoreUpdate, defineProjection, type PostgresClient } from 'twinwrite';
import { type Movie, movieRecord } from './record';

/** The collection `movies`: the catalogue as a search page wants it, one document a movie. */
export const movies = defineProjection({
  collection: 'movies',
  image: async ({ postgres, ids }) => {
    const { rows } = await postgres.query<MovieRow>(
      `select movie.*, movie.released_on::text, distributor.name as distributor, director.name as director, genre.name as genre
         from movie
         left join distributor on distributor.id = distributor_id
         left join director on director.id = director_id
         left join genre on genre.id = genre_id
        where movie.id = any($1)`,
      [ids],
    );
    return rows.map(documentOf);
  },
});

/**
 * Imports one record. Its token is made of its content, so importing it again, from the same file
 * or a copy, changes nothing. It has no `undo`: nothing that MongoDB could refuse passes the
 * schema. So it holds nothing either, and any number of movies go side by side.
 */
export const importMovie = defineCrossStoreUpdate({
  name: 'importMovie',
  input: movieRecord,
  token: (movie) => movie.id,
  postgres: {
    apply: async ({ client, input: movie }) => {
      await client.query(
        `insert into movie (
           id, title, released_on, distributor_id, director_id, genre_id, source, creative_type, mpaa_rating, running_time_minutes,
           us_gross, worldwide_gross, us_dvd_sales, production_budget, rotten_tomatoes, imdb_rating, imdb_votes
         ) values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17)`,
        [
          movie.id,
          movie.title,
          movie.releasedOn,
          // Always in this order: two imports that name the same people must not wait for each
          // other in a circle.
          await idOf(client, 'distributor', movie.distributor),
          await idOf(client, 'director', movie.director),
          await idOf(client, 'genre', movie.genre),
          movie.source,
          movie.creativeType,
          movie.mpaaRating,
          movie.runningTimeMinutes,
          movie.usGross,
          movie.worldwideGross,
          movie.usDvdSales,
          movie.productionBudget,
          movie.rottenTomatoes,
          movie.imdbRating,
          movie.imdbVotes,
        ],
      );
      return { id: movie.id };
    },
  },
  mongo: { project: (movie) => [movies.document(movie.id)] },
});

/** Finds a name, or adds it. */
async function idOf(
  client: PostgresClient,
  table: 'distributor' | 'director' | 'genre',
  name: string | null,
): Promise<string | null> {
  if (name === null) return null;
  await client.query(`insert into ${table} (name) values ($1) on conflict (name) do nothing`, [
    name,
  ]);
  // A statement of its own sees what another import has just committed.
  const found = await client.query<{ id: string }>(`select id from ${table} where name = $1`, [
    name,
  ]);
  return found.rows[0]?.id ?? null;
}

interface MovieRow {
  id: string;
  title: string;
  released_on: string;
  distributor: string | null;
  director: string | null;
  genre: string | null;
  source: string | null;
  creative_type: string | null;
  mpaa_rating: Movie['mpaaRating'];
  running_time_minutes: number | null;
  us_gross: string | null;
  worldwide_gross: string | null;
  us_dvd_sales: string | null;
  production_budget: string | null;
  rotten_tomatoes: number | null;
  imdb_rating: string | null;
  imdb_votes: number | null;
}

/** What is not known is left out. */
function documentOf(row: MovieRow) {
  return {
    _id: row.id,
    title: row.title,
    releasedOn: row.released_on,
    ...known({
      distributor: row.distributor,
      director: row.director,
      genre: row.genre,
      source: row.source,
      creativeType: row.creative_type,
      mpaaRating: row.mpaa_rating,
      runningTimeMinutes: row.running_time_minutes,
    }),
    dollars: known({
      usGross: row.us_gross,
      worldwideGross: row.worldwide_gross,
      usDvdSales: row.us_dvd_sales,
      productionBudget: row.production_budget,
    }),
    ratings: known({
      rottenTomatoes: row.rotten_tomatoes,
      imdb: row.imdb_rating === null ? null : Number(row.imdb_rating),
      imdbVotes: row.imdb_votes,
    }),
  };
}

function known(fields: Readonly<Record<string, string | number | null>>) {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== null));
}
