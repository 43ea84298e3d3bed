/**
 * Goal: a real data set, never cleaned, comes into both stores whole or not at all, and twice is
 * once. Method: the schema on every record of the file; a slice of it through a worker, twice, with
 * the versions of all rows and documents compared.
 */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { importMovie } from '../../examples/movies/definition';
import { prepareCatalogue } from '../../examples/movies/prepare';
import { readMovieRecords } from '../../examples/movies/read-records';
import { type MovieRecord, movieRecord } from '../../examples/movies/record';
import { describeRefusals, submittedOf } from '../../examples/movies/report';
import { takeSnapshot } from '../../examples/movies/snapshot';
import { readVerdict } from '../../examples/movies/verdict';
import { type Entry, settleAll } from '../../examples/support/settle-all';
import type { StoredDocument } from '../../examples/support/verdict';
import { openWorld, type RunningWorker, type World } from '../support/world';

describe('the schema of a record', () => {
  test('takes 3,176 of the 3,201 records, and tells them all apart', async () => {
    const records = await readMovieRecords();
    const movies = records.flatMap((record) => movieRecord.safeParse(record).data ?? []);
    expect(records).toHaveLength(3_201);
    expect(movies).toHaveLength(3_176);
    expect(new Set(movies.map(({ id }) => id)).size).toBe(3_176);
  });

  test('refuses 25 of them, each with its field and the reason', async () => {
    const reasons = new Map<string, number>();
    for (const record of await readMovieRecords()) {
      const { error } = movieRecord.safeParse(record);
      for (const { path, message } of error?.issues ?? []) {
        const reason = `${path.join('.')}: ${message.replace(/^".*"/, '…')}`;
        reasons.set(reason, (reasons.get(reason) ?? 0) + 1);
      }
    }
    expect(Object.fromEntries(reasons)).toEqual({
      'Title: A movie has a title': 1,
      'Release Date: … lies after 2011, when the file was made': 22,
      'MPAA Rating: No rating of the MPAA': 2,
    });
  });

  test('types the values: a title that is a number, a date, money as text', async () => {
    const records = await readMovieRecords();
    const record = records.find(({ Title }) => Title === 1776);
    expect(movieRecord.parse(record)).toMatchObject({
      id: '1776 (1972-11-09)',
      title: '1776',
      releasedOn: '1972-11-09',
      productionBudget: '4000000',
      usDvdSales: null,
      imdbRating: 7,
    });
  });

  test.each([
    [{ 'Release Date': 'Feb 30 1999' }, 'Release Date'],
    [{ 'Release Date': '1999-02-03' }, 'Release Date'],
    [{ 'US Gross': 0.5 }, 'US Gross'],
    [{ 'US Gross': '146083' }, 'US Gross'],
    [{ 'IMDB Rating': 11 }, 'IMDB Rating'],
  ])('refuses %j', async (change, field) => {
    const [record] = await readMovieRecords();
    const { error } = movieRecord.safeParse({ ...record, ...change });
    expect(error?.issues.map(({ path }) => path.join('.'))).toEqual([field]);
  });

  test('refuses a field that it does not know', async () => {
    const [record] = await readMovieRecords();
    const { error } = movieRecord.safeParse({ ...record, Sequel: 'no' });
    expect(error?.issues[0]?.message).toContain('"Sequel"');
  });
});

describe('the import', () => {
  let world: World;
  let worker: RunningWorker;
  let records: readonly MovieRecord[];
  let first: Entry<MovieRecord>[];

  const importAll = () =>
    settleAll(world.twinwrite, importMovie, records, {
      concurrency: 20,
      onSettled: () => undefined,
      signal: AbortSignal.timeout(60_000),
    });

  beforeAll(async () => {
    world = await openWorld();
    await prepareCatalogue(world.postgres);
    worker = await world.startWorker({ updates: [importMovie] });
    // A Temporal that other tests use as well must not know the titles.
    records = (await readMovieRecords())
      .slice(0, 40)
      .map((record) => ({ ...record, Title: `${record.Title} ${world.name}` }));
    first = await importAll();
  });

  afterAll(async () => {
    await worker.stop();
    await world.close();
  });

  test('brings every record that the schema takes into both stores, and nothing of the others', async () => {
    const db = world.mongo.db();
    const verdict = await readVerdict(world.postgres, db, submittedOf(first));
    expect(verdict).toEqual({ updates: 40, both: 35, neither: 5, divergent: [] });
    const [heading, ...lines] = describeRefusals(first).split('\n');
    expect(heading).toBe('5 records were refused, and nothing of them was written:');
    expect(lines[0]).toMatch(
      /^ {2}record 9, "Duel in the Sun .*": Release Date: "Dec 31 2046" lies/,
    );
  });

  test('shares a name among the movies that have it', async () => {
    const { rows } = await world.postgres.query<{ names: number; movies: number }>(
      `select count(distinct distributor_id)::int as names, count(distributor_id)::int as movies from movie`,
    );
    const all = await world.postgres.query('select from distributor');
    expect(all.rowCount).toBe(rows[0]?.names);
    expect(rows[0]?.movies).toBeGreaterThan(rows[0]?.names ?? 0);
  });

  test('run again, answers the same and changes no row and no document', async () => {
    const before = await takeSnapshot(world.postgres, world.mongo.db());
    const second = await importAll();
    expect(second.map(({ answer }) => answer)).toEqual(first.map(({ answer }) => answer));
    expect(await takeSnapshot(world.postgres, world.mongo.db())).toEqual(before);
    expect(before).toMatchObject({ ledgerRows: 35, rows: 35, documents: 35 });
  });

  test('the snapshot sees a row that was written again with the same values', async () => {
    const before = await takeSnapshot(world.postgres, world.mongo.db());
    await world.postgres.query('update genre set name = name');
    const after = await takeSnapshot(world.postgres, world.mongo.db());
    expect(after.fingerprint).not.toBe(before.fingerprint);
  });

  test('a record with the title and day of another and other content is refused by its token', async () => {
    const [record] = records;
    const other = { ...record, 'IMDB Votes': 1 } as MovieRecord;
    await expect(world.twinwrite.execute(importMovie, other)).rejects.toMatchObject({
      code: 'TokenReused',
    });
  });

  test('the verdict sees a nested field that differs', async () => {
    const db = world.mongo.db();
    const movies = db.collection<StoredDocument>('movies');
    const [damaged] = submittedOf(first);
    await movies.updateOne({ _id: damaged?.id ?? '' }, { $set: { 'ratings.imdb': 9.9 } });
    const { divergent } = await readVerdict(world.postgres, db, submittedOf(first));
    expect(divergent).toEqual([`${damaged?.id}: the stores differ in ratings`]);
  });
});
