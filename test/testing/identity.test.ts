/**
 * Goal: whoever's samples do not stand for one update each, or do not end as expected, is told so.
 * Method: one right definition, broken in one way after the other, on the real stores; messages in
 * full.
 */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { openWorld, type World } from '../support/world';
import { ANN, complaint, prepareBank } from './bank';

let world: World;

beforeAll(async () => {
  world = await openWorld();
  await prepareBank(world.postgres);
});

afterAll(async () => {
  await world.close();
});

describe('an identity that is not one (clause 1)', () => {
  const UNSTABLE = [
    '   What it means: a retry of the same business change is not known again: it is applied a second time, or does not wait for whom it must.',
    '   What to do: make the token, the entities and the documents of the input alone: no clock, no random value, no counter, no default of the schema that makes one up.',
  ];

  test('a token with the year in it', async () => {
    const year = (millis: number) => new Date(millis).getUTCFullYear();
    const token = ({ id }: { id: string }) => `${id} ${year(Date.now())}`;
    const later = year(Date.now() + 400 * 24 * 3_600_000);
    expect(await complaint(world, { token })).toEqual([
      'The definition "deposit" is not sound.',
      '',
      '1. UnstableIdentity, shown by inputs[0]:',
      `     token: "deposit-1 ${year(Date.now())}" at first, "deposit-1 ${later}" with the clock 400 days later`,
      ...UNSTABLE,
    ]);
  });

  test('a token that depends on the order of keys', async () => {
    const inputs = [{ ...ANN, notes: { a: 1, b: 2 } }];
    const wrong = { token: ({ notes = {} }) => Object.keys(notes).join() };
    expect(await complaint(world, wrong, { inputs })).toEqual([
      'The definition "deposit" is not sound.',
      '',
      '1. UnstableIdentity, shown by inputs[0]:',
      '     token: "a,b" at first, "b,a" with the keys of the input in another order',
      ...UNSTABLE,
    ]);
  });

  test('a token that is counted', async () => {
    let count = 0;
    const wrong = { token: () => `t-${(count += 1)}` };
    expect((await complaint(world, wrong))[3]).toBe(
      '     token: "t-1" at first, "t-2" asked again',
    );
  });

  test('one token for two business changes', async () => {
    const inputs = [ANN, { ...ANN, id: 'deposit-2' }];
    const wrong = { token: ({ account }: { account: string }) => account };
    expect(await complaint(world, wrong, { inputs })).toEqual([
      'The definition "deposit" is not sound.',
      '',
      '1. SharedToken, shown by inputs[0] and inputs[1]:',
      '     both have the token "ann"',
      '   What it means: the second of them is turned away as TokenReused: it never happens.',
      '   What to do: give each business change a token of its own, such as an id that the caller makes; two samples of one token are one sample.',
    ]);
  });
});

describe('an end that is not the expected one', () => {
  test('two samples that are not applied, one refused by the schema', async () => {
    const inputs = [
      { ...ANN, amount: 0 },
      { ...ANN, amount: 2_000 },
    ];
    const explanation = [
      '   What it means: the check needs it applied to go on, and it was not.',
      '   What to do: prepare the databases so that it can be applied, mend the callbacks, or move it to `refused` if that is how it is meant to end.',
    ];
    expect(await complaint(world, {}, { inputs })).toEqual([
      'The definition "deposit" is not sound.',
      '',
      '1. NotApplied, shown by inputs[1]:',
      '     it is no input: amount: Too big: expected number to be <=1000',
      ...explanation,
      '',
      '2. NotApplied, shown by inputs[0]:',
      '     it was refused: a deposit is more than nothing',
      ...explanation,
    ]);
  });

  test('a sample that is applied and should not be', async () => {
    const refused = [{ ...ANN, id: 'deposit-3' }];
    expect(await complaint(world, {}, { refused })).toEqual([
      'The definition "deposit" is not sound.',
      '',
      '1. NotRefused, shown by refused[0]:',
      '     it was applied',
      '   What it means: what you meant to be turned away is written to both stores.',
      '   What to do: turn it away in the schema, by a constraint or by `return refuse(…)`, or move it to `inputs`.',
    ]);
  });
});
