import { z } from 'zod';

/**
 * One record of movies.json as it stands in the file, and what we make of it. Strict: a field that
 * we do not know, a type that we did not expect, a value that cannot be true are refused, each with
 * its path and the reason, before anything is written.
 */

/**
 * The file was put together then; what claims to be later had its two digits of the year read into
 * the wrong century ("Gone with the Wind", 2039).
 */
const LAST_YEAR = 2011;
const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'];

/** Titles such as 1776 or 300 are numbers in the file. */
const title = z
  .union([z.string().min(1).max(150), z.int().min(0)], { error: 'A movie has a title' })
  .transform(String);

/** "Jun 12 1998" becomes 1998-06-12. */
const releaseDate = z.string().transform((text, context) => {
  const [, name = '', day = '', year = ''] = /^([A-Z][a-z]{2}) (\d{2}) (\d{4})$/.exec(text) ?? [];
  const month = String(MONTHS.indexOf(name) + 1).padStart(2, '0');
  const date = `${year}-${month}-${day}`;
  const isReal = !Number.isNaN(Date.parse(date)) && new Date(date).getUTCDate() === Number(day);
  if (!isReal) context.addIssue(`"${text}" is no date such as "Jun 12 1998"`);
  else if (Number(year) > LAST_YEAR)
    context.addIssue(`"${text}" lies after ${LAST_YEAR}, when the file was made`);
  return date;
});

/**
 * US dollars. They travel as text from here on: some sums do not fit what a database calls an
 * integer.
 */
const dollars = z
  .int()
  .min(0)
  .nullable()
  .transform((sum) => (sum === null ? null : String(sum)));
const name = z.string().min(1).max(150).nullable();

export const movieRecord = z
  .strictObject({
    Title: title,
    'US Gross': dollars,
    'Worldwide Gross': dollars,
    'US DVD Sales': dollars,
    'Production Budget': dollars,
    'Release Date': releaseDate,
    'MPAA Rating': z
      .enum(['G', 'PG', 'PG-13', 'R', 'NC-17', 'Not Rated'], { error: 'No rating of the MPAA' })
      .nullable(),
    'Running Time min': z.int().min(1).max(1_000).nullable(),
    Distributor: name,
    Source: name,
    'Major Genre': name,
    'Creative Type': name,
    Director: name,
    'Rotten Tomatoes Rating': z.int().min(0).max(100).nullable(),
    'IMDB Rating': z.number().min(0).max(10).nullable(),
    'IMDB Votes': z.int().min(0).nullable(),
  })
  .transform((record) => ({
    // Title and day tell the movies of the file apart; the same movie from another file gets the
    // same id.
    id: `${record.Title} (${record['Release Date']})`,
    title: record.Title,
    releasedOn: record['Release Date'],
    distributor: record.Distributor,
    director: record.Director,
    genre: record['Major Genre'],
    source: record.Source,
    creativeType: record['Creative Type'],
    mpaaRating: record['MPAA Rating'],
    runningTimeMinutes: record['Running Time min'],
    usGross: record['US Gross'],
    worldwideGross: record['Worldwide Gross'],
    usDvdSales: record['US DVD Sales'],
    productionBudget: record['Production Budget'],
    rottenTomatoes: record['Rotten Tomatoes Rating'],
    imdbRating: record['IMDB Rating'],
    imdbVotes: record['IMDB Votes'],
  }));

/** As it stands in the file. */
export type MovieRecord = z.input<typeof movieRecord>;
export type Movie = z.output<typeof movieRecord>;
