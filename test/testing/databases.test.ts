/**
 * Goal: a check leaves both databases as it found them, whatever is in them, and runs on none that
 * is not for it. Method: tables and documents of every awkward kind, changed by a right definition
 * whose rows and documents are full of clocks and random keys, and compared before and after.
 */
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { type CheckOptions, checkDefinition } from 'twinwrite/testing';
import { openWorld, type World } from '../support/world';
import { ANN, BOB, check, prepareBank } from './bank';
import { prepareThings, visitThing } from './things';

let world: World;
let options: CheckOptions<{ id: string; text: string }>;

beforeAll(async () => {
  world = await openWorld();
  await prepareBank(world.postgres);
  await prepareThings(world);
  const [first, second] = ['a', 'b'].map((text) => ({ id: randomUUID(), text }));
  options = {
    inputs: [first, second] as CheckOptions<{ id: string; text: string }>['inputs'],
    postgres: world.postgres,
    mongo: world.mongo,
  };
});

afterAll(async () => {
  await world.close();
});

/** Every row and document with everything that is in it, sequences and ledgers included. */
async function everything(): Promise<string[]> {
  const { postgres, mongo } = world;
  const { rows: relations } = await postgres.query<{ name: string; kind: string }>(
    `select c.oid::regclass::text as name, relkind as kind from pg_class c join pg_namespace n on n.oid = relnamespace
      where relkind in ('r', 'S') and nspname !~ '^(pg_|information_schema)' and relname not in ('store', 'ticket') order by 1`,
  );
  const lines: string[] = [];
  for (const { name, kind } of relations) {
    const text = kind === 'S' ? `last_value || ' ' || is_called` : 't::text';
    const { rows } = await postgres.query<{ text: string }>(
      `select ${text} as text from ${name} t order by 1`,
    );
    lines.push(...rows.map((row) => `${name}: ${row.text}`));
  }
  const collections = await mongo.db().listCollections().toArray();
  for (const { name } of collections.filter((one) => !/_(store|transactions)$/.test(one.name))) {
    const documents = await mongo
      .db()
      .collection(name)
      .find({}, { raw: true })
      .sort({ _id: 1 })
      .toArray();
    lines.push(
      ...documents.map((bytes) => `${name}: ${(bytes as unknown as Buffer).toString('hex')}`),
    );
  }
  return lines;
}

describe('both databases', () => {
  test('are what they were, after a check of a right definition with clocks and random keys', async () => {
    const before = await everything();
    const report = await checkDefinition(visitThing, {
      ...options,
      refused: [{ id: randomUUID(), text: '' }, { id: 'x', text: 1 }, { id: 1n }],
    });
    expect(report).toEqual({
      definition: 'visitThing',
      samples: [
        { sample: 'inputs[0]', outcome: 'applied', faults: expect.any(Number) },
        { sample: 'inputs[1]', outcome: 'applied', faults: expect.any(Number) },
        { sample: 'refused[0]', outcome: 'refused', faults: expect.any(Number) },
        { sample: 'refused[1]', outcome: 'invalid', faults: 0 },
        { sample: 'refused[2]', outcome: 'invalid', faults: 0 },
      ],
      unchecked: [],
    });
    // Five statements, six commits of which each is cut before and after; and their way back.
    expect(report.samples[0]?.faults).toBeGreaterThan(15);
    expect(await everything()).toEqual(before);
  });

  test('are what they were, after a check that found something', async () => {
    const before = await everything();
    const undo = async () => {};
    const wrong = { ...visitThing, postgres: { ...visitThing.postgres, undo } };
    await expect(checkDefinition(wrong as typeof visitThing, options)).rejects.toMatchObject({
      code: 'UnsoundDefinition',
    });
    expect(await everything()).toEqual(before);
  });

  test('are one check at a time', async () => {
    const before = await everything();
    const reports = await Promise.all([
      check(world, {}, { inputs: [ANN] }),
      check(world, {}, { inputs: [BOB] }),
    ]);
    expect(reports.map(({ unchecked }) => unchecked)).toEqual([
      [
        'images read together: there is one sample that is applied',
        'refusals: no sample is refused',
      ],
      [
        'images read together: there is one sample that is applied',
        'refusals: no sample is refused',
      ],
    ]);
    expect(await everything()).toEqual(before);
  });
});
