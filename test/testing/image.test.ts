/**
 * Goal: an image that is not a function of Postgres is found, and so is a document that an update
 * forgets to name (clause 7). Method: one right definition, broken in one way after the other, on
 * the real stores; messages in full.
 */
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { openWorld, type World } from '../support/world';
import { complaint, deposit, prepareBank, readAccounts, takeBack, type Wrong } from './bank';

let world: World;

beforeAll(async () => {
  world = await openWorld();
  await prepareBank(world.postgres);
});

afterAll(async () => {
  await world.close();
});

const IMPURE = [
  '   What it means: two workers that write the same version of a document write different documents, and a repair changes documents that are right.',
  '   What to do: make the image of the rows alone: no clock (store the time in a column), no random value, nothing from MongoDB, nothing remembered from another call; find the row of each id by its id, since rows come in any order, and alone or with others.',
];

test('an image with the year in it', async () => {
  const year = (millis: number) => new Date(millis).getUTCFullYear();
  const image: Wrong['image'] = async ({ postgres, ids }) =>
    (await readAccounts(postgres, ids)).map((row) => ({ ...row, year: year(Date.now()) }));
  const later = year(Date.now() + 400 * 24 * 3_600_000);
  expect(await complaint(world, { image })).toEqual([
    'The definition "deposit" is not sound.',
    '',
    '1. ImpureImage, shown by inputs[0]:',
    `     The image of accounts, _id = "ann": year is ${year(Date.now())} read at first, ${later} read with the clock 400 days later`,
    `     The image of accounts, _id = "bob": year is ${year(Date.now())} read at first, ${later} read with the clock 400 days later`,
    ...IMPURE,
  ]);
});

test('an image that takes the rows in the order of the ids', async () => {
  const image: Wrong['image'] = async ({ postgres, ids }) =>
    (await readAccounts(postgres, ids)).map((row, index) => ({ ...row, _id: ids[index] ?? '' }));
  expect((await complaint(world, { image })).slice(2, 5)).toEqual([
    '1. ImpureImage, shown by inputs[0]:',
    '     The image of accounts, _id = "ann": balance is 100 read at first, 105 read in another order',
    '     The image of accounts, _id = "ann": deposits is 0 read at first, 1 read in another order',
  ]);
});

test('an image that answers the first id only', async () => {
  const image: Wrong['image'] = async ({ postgres, ids }) =>
    await readAccounts(postgres, ids.slice(0, 1));
  expect((await complaint(world, { image })).slice(2, 5)).toEqual([
    '1. ImpureImage, shown by inputs[0]:',
    '     The image of accounts, _id = "ann": there read at first, but not read in another order',
    '     The image of accounts, _id = "bob": not there read at first, but read in another order',
  ]);
});

test('an image that compares the documents that it is asked for', async () => {
  const image: Wrong['image'] = async ({ postgres, ids }) => {
    const rows = await readAccounts(postgres, ids);
    const richest = Math.max(...rows.map(({ balance }) => balance));
    return rows.map((row) => ({ ...row, isRichest: row.balance === richest }));
  };
  expect(await complaint(world, { image })).toEqual([
    'The definition "deposit" is not sound.',
    '',
    '1. ImpureImage, shown by inputs[0]:',
    '     The image of accounts, _id = "bob": isRichest is false read at first, true read alone',
    ...IMPURE,
  ]);
});

test('an image that is remembered', async () => {
  const remembered = new Map<string, Awaited<ReturnType<typeof readAccounts>>>();
  const image: Wrong['image'] = async ({ postgres, ids }) => {
    const known = remembered.get(ids.join()) ?? (await readAccounts(postgres, ids));
    remembered.set(ids.join(), known);
    return known;
  };
  expect(await complaint(world, { image })).toEqual([
    'The definition "deposit" is not sound.',
    '',
    '1. ImpureImage, shown by inputs[0]:',
    '     The image of accounts, _id = "ann": not asked of PostgreSQL',
    '     The image of accounts, _id = "bob": not asked of PostgreSQL',
    ...IMPURE,
  ]);
});

test('an image that looks into MongoDB', async () => {
  const image: Wrong['image'] = async ({ postgres, ids }) => {
    const accounts = world.mongo.db().collection<{ _id: string }>('accounts');
    const rich = await accounts.countDocuments({ _id: { $in: [...ids] }, balance: { $gt: 100 } });
    return (await readAccounts(postgres, ids)).map((row) => ({ ...row, isRich: rich > 0 }));
  };
  expect(await complaint(world, { image })).toEqual([
    'The definition "deposit" is not sound.',
    '',
    '1. ImpureImage, shown by inputs[0]:',
    '     The image of accounts, _id = "ann": isRich is false read before MongoDB had it, true read afterwards',
    ...IMPURE,
  ]);
});

test('a document that shows what the update changes, and is not named', async () => {
  const wrong: Wrong = {
    apply: async ({ client, input }) => {
      await client.query(`update account set balance = balance - 1 where id = 'bob'`);
      return await deposit(client, input);
    },
    undo: async ({ client, input }) => {
      await client.query(`update account set balance = balance + 1 where id = 'bob'`);
      await takeBack(client, input);
    },
  };
  expect(await complaint(world, wrong)).toEqual([
    'The definition "deposit" is not sound.',
    '',
    '1. StaleDocument, shown by inputs[0]:',
    '     The image of accounts, _id = "bob": balance is 100 in MongoDB, 99 as it is read from Postgres',
    '   What it means: readers of MongoDB see what Postgres no longer says, until another update names the document.',
    '   What to do: name in `project` every document whose image reads a row that the update writes; and make the image of Postgres alone.',
  ]);
});
