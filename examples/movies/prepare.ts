import type { Pool } from 'pg';

/**
 * What the catalogue's own migrations would do. Its collection has no rule of its own, so MongoDB
 * makes it with the first document.
 */
export async function prepareCatalogue(postgres: Pool): Promise<void> {
  await postgres.query(`
    create table if not exists distributor (id int generated always as identity primary key, name text not null unique);
    create table if not exists director (id int generated always as identity primary key, name text not null unique);
    create table if not exists genre (id int generated always as identity primary key, name text not null unique);
    create table if not exists movie (
      id text primary key,
      title text not null,
      released_on date not null,
      distributor_id int references distributor,
      director_id int references director,
      genre_id int references genre,
      source text,
      creative_type text,
      mpaa_rating text,
      running_time_minutes int,
      us_gross numeric(14, 0),
      worldwide_gross numeric(14, 0),
      us_dvd_sales numeric(14, 0),
      production_budget numeric(14, 0),
      rotten_tomatoes int check (rotten_tomatoes between 0 and 100),
      imdb_rating numeric(3, 1),
      imdb_votes int,
      unique (title, released_on)
    )`);
}
