/**
 * Goal: `adopt` takes over what was there before Twinwrite, tells what it does to it, and touches
 * nothing else. Method: the real command on collections that an application has filled, with
 * everything in both stores compared before and after.
 */
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { type Collection, Long, ObjectId } from 'mongodb';
import { openWorld, type World } from '../support/world';
import { environmentOf, runCli } from './run-cli';

const CONFIG = join(__dirname, 'fixtures', 'cards.config.ts');
const WITHOUT_PROJECTIONS = join(__dirname, 'fixtures', 'without-projections.config.ts');

interface Card {
  _id: string | ObjectId;
  [field: string]: unknown;
}

describe('twinwrite adopt', () => {
  let world: World;
  let cards: Collection<Card>;
  let faces: Collection<Card>;

  beforeAll(async () => {
    world = await openWorld();
    await world.postgres.query(
      'create table card (id text primary key, face text not null, back text)',
    );
    cards = await world.mongo.db().createCollection<Card>('cards', {
      validator: { face: { $ne: 'never' } },
    });
    faces = await world.mongo.db().createCollection<Card>('faces');
  });

  beforeEach(async () => {
    await cards.deleteMany({});
    await faces.deleteMany({});
    await world.postgres.query('truncate card, twinwrite.entity');
  });

  afterAll(async () => {
    await world.close();
  });

  const adopt = async (...args: string[]) =>
    await runCli(['adopt', ...args, '--config', CONFIG], { env: environmentOf(world) });
  const inPostgres = async (rows: readonly (readonly [string, string, string?])[]) => {
    for (const [id, face, back] of rows) {
      await world.postgres.query('insert into card values ($1, $2, $3)', [id, face, back ?? null]);
    }
  };
  const everything = async () => ({
    entities: (await world.postgres.query('select * from twinwrite.entity order by key')).rows,
    cards: await cards.find().sort({ _id: 1 }).toArray(),
    faces: await faces.find().sort({ _id: 1 }).toArray(),
  });
  const linesOf = (stdout: string): unknown[] =>
    stdout
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as unknown);

  const strangers = new ObjectId();
  const beforeTwinwrite = async () => {
    await inPostgres([
      ['same', 'a', 'b'],
      ['differs', 'secret-new', 'b'],
      ['more', 'c'],
      ['missing', 'd'],
      ['ours', 'e'],
    ]);
    await cards.insertMany([
      { _id: 'same', back: 'b', face: 'a' },
      { _id: 'differs', face: 'secret-old', back: 'b' },
      { _id: 'more', face: 'c', back: 'secret-back', likes: 7 },
      { _id: 'nobody', face: 'x' },
      { _id: strangers, face: 'a' },
      { _id: 'ours', face: 'older', _tw: { version: Long.fromNumber(1), live: true } },
    ]);
  };

  test('a dry run tells what would be done, with the names of fields and never a value, and changes nothing', async () => {
    await beforeTwinwrite();
    const before = await everything();
    const { code, stdout, stderr } = await adopt('cards', '--dry-run');
    expect(stdout.split('\n')).toEqual([
      '"differs": differs in face; would get PostgreSQL\'s image',
      '"more": has more: back, likes; would get PostgreSQL\'s image',
      '"nobody": unknown to PostgreSQL, left alone',
      `"${strangers.toHexString()}": unknown to PostgreSQL, left alone`,
      'cards: would adopt: 3 (differing: 2) unknown: 2 refused: 0 overtaken: 0',
      '',
    ]);
    expect({ code, stderr }).toEqual({ code: 1, stderr: '' });
    expect(await everything()).toEqual(before);
  });

  test('it gives what Postgres knows its image and a version, leaves the rest, and has nothing to do the second time', async () => {
    await beforeTwinwrite();
    const { code, stdout } = await adopt('cards', '--json');
    expect(code).toBe(1);
    expect(stdout).not.toContain('secret');
    expect(linesOf(stdout)).toEqual([
      { id: 'differs', changes: ['face'], removes: [], end: 'adopted' },
      { id: 'more', changes: [], removes: ['back', 'likes'], end: 'adopted' },
      { id: 'nobody', end: 'unknown' },
      { id: 'same', changes: [], removes: [], end: 'adopted' },
      { id: strangers.toHexString(), end: 'unknown' },
      {
        summary: {
          collection: 'cards',
          isDryRun: false,
          documents: 5,
          adopted: 3,
          adoptable: 0,
          unknown: 2,
          refused: 0,
          overtaken: 0,
          differing: 2,
        },
      },
    ]);
    const after = await everything();
    const stamp = { version: 1, live: true };
    expect(after.cards).toEqual([
      { _id: 'differs', face: 'secret-new', back: 'b', _tw: stamp },
      { _id: 'more', face: 'c', _tw: stamp },
      { _id: 'nobody', face: 'x' },
      { _id: 'ours', face: 'older', _tw: stamp },
      { _id: 'same', face: 'a', back: 'b', _tw: stamp },
      { _id: strangers, face: 'a' },
    ]);
    expect(after.entities.map(({ key, version }) => [key, version])).toEqual([
      ['cards/differs', '1'],
      ['cards/more', '1'],
      ['cards/same', '1'],
    ]);
    await cards.deleteMany({ _tw: { $exists: false } });
    const again = await adopt('cards');
    expect(again).toMatchObject({
      code: 0,
      stdout: 'cards: adopted: 0 (differing: 0) unknown: 0 refused: 0 overtaken: 0\n',
    });
  });

  test('of a projection that owns fields, only those are compared and written', async () => {
    await inPostgres([
      ['one', 'a', 'b'],
      ['two', 'c'],
    ]);
    await faces.insertMany([
      { _id: 'one', face: 'a', back: 'b', likes: 7 },
      { _id: 'two', face: 'old', back: 'gone', likes: 8 },
    ]);
    const { code, stdout } = await adopt('faces');
    expect(code).toBe(0);
    expect(stdout).toBe(
      '"two": differs in face, has more: back; adopted\nfaces: adopted: 2 (differing: 1) unknown: 0 refused: 0 overtaken: 0\n',
    );
    expect((await everything()).faces).toEqual([
      { _id: 'one', face: 'a', back: 'b', likes: 7, _tw: { version: 1, live: true } },
      { _id: 'two', face: 'c', likes: 8, _tw: { version: 1, live: true } },
    ]);
  });

  test('more documents than are taken at once are all adopted, and only the last line tells of it', async () => {
    const ids = Array.from({ length: 120 }, (_, index) => `c${index}`);
    await world.postgres.query(`insert into card select id, 'a' from unnest($1::text[]) id`, [ids]);
    await cards.insertMany(ids.map((_id) => ({ _id, face: 'a' })));
    const { code, stdout } = await adopt('cards');
    expect({ code, stdout }).toEqual({
      code: 0,
      stdout: 'cards: adopted: 120 (differing: 0) unknown: 0 refused: 0 overtaken: 0\n',
    });
    expect(await cards.countDocuments({ '_tw.version': { $type: 'long', $eq: 1 } })).toBe(120);
  });

  test('its help has what the others have', async () => {
    const { code, stdout } = await runCli(['adopt', '--help']);
    expect(code).toBe(0);
    for (const part of ['Usage: twinwrite adopt', 'Environment:', 'Exit codes:', 'Examples:']) {
      expect(stdout).toContain(part);
    }
  });

  test('what MongoDB refuses is told with the code and left as it is', async () => {
    await inPostgres([['one', 'never']]);
    await cards.insertOne({ _id: 'one', face: 'a' });
    const { code, stdout } = await adopt('cards');
    expect(code).toBe(1);
    expect(stdout).toContain(
      '"one": differs in face; left alone; MongoDB refused the data (code 121, document validation, cards)',
    );
    expect((await everything()).cards).toEqual([{ _id: 'one', face: 'a' }]);
  });

  test.each([
    [
      ['cardz', '--config', CONFIG],
      'has no projection with the collection "cardz". Did you mean cards?',
    ],
    [['orders', '--config', WITHOUT_PROJECTIONS], 'lists no projections; name the one of "orders"'],
    [[], "missing required argument 'collection'"],
  ])('%j is a wrong command line', async (args, sentence) => {
    const { code, stderr } = await runCli(['adopt', ...args], { env: environmentOf(world) });
    expect({ code, lines: stderr.trimEnd().split('\n').length }).toEqual({ code: 2, lines: 1 });
    expect(stderr).toContain(sentence);
  });

  test('an index that has tombstones in it is told before anything is adopted', async () => {
    await inPostgres([['one', 'a']]);
    await faces.insertOne({ _id: 'one', face: 'b' });
    await faces.createIndex({ face: 1 }, { unique: true });
    const { code, stderr } = await adopt('faces');
    await faces.dropIndex('face_1');
    expect(code).toBe(1);
    expect(stderr).toContain('the unique index on face of "faces" has tombstones in it');
    expect((await everything()).faces).toEqual([{ _id: 'one', face: 'b' }]);
  });

  test('an image that fails is told by its code, and what was done before stays', async () => {
    await cards.insertOne({ _id: 'one', face: 'a' });
    await world.postgres.query('alter table card rename to deck');
    const { code, stderr } = await adopt('cards');
    await world.postgres.query('alter table deck rename to card');
    expect(code).toBe(1);
    expect(stderr).toContain('PostgreSQL failed with SQLSTATE 42P01 at the image of "cards".');
  });
});
