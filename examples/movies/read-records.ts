import { readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { MovieRecord } from './record';

/**
 * The 3,201 records of movies.json from the npm package `vega-datasets`: collected in 2010 from
 * several sites, and never cleaned, which is why it is used to teach cleaning. Nothing is known of
 * a record before the schema has read it.
 */
export async function readMovieRecords(): Promise<readonly MovieRecord[]> {
  const main = require.resolve('vega-datasets');
  const text = await readFile(join(dirname(main), '..', 'data', 'movies.json'), 'utf8');
  return JSON.parse(text) as MovieRecord[];
}
