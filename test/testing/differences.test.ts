/**
 * Goal: differences are told in lines that a reader can use, however many and however long. Method:
 * states made by hand, and an error with many lines.
 */
import { describe, expect, test } from '@jest/globals';
import { TwinwriteError } from 'twinwrite';
import { findDifferences, findVolatile } from '../../src/testing/differences';
import type { TableState } from '../../src/testing/table-state';

const SIDES = { before: 'before', after: 'after' };

const table = (key: string[], ...rows: Record<string, string | null>[]): TableState => ({
  title: 'PostgreSQL table t',
  name: 't',
  key,
  rows: rows.map((row) => new Map(Object.entries(row))),
});

const differences = (one: TableState, other: TableState, ignored: string[] = []) =>
  findDifferences([one], [other], SIDES, (name, column) => ignored.includes(`${name}.${column}`));

describe('what differs', () => {
  test('is told by key, in whatever order the rows come', () => {
    const one = table(['id'], { id: '1', a: 'x' }, { id: '2', a: 'y' }, { id: '3', a: null });
    const other = table(['id'], { id: '3', a: 'z' }, { id: '4', a: 'y' }, { id: '1', a: 'x' });
    expect(differences(one, other)).toEqual([
      'PostgreSQL table t, id = 2: there before, but not after',
      'PostgreSQL table t, id = 4: not there before, but after',
      'PostgreSQL table t, id = 3: a is null before, z after',
    ]);
  });

  test('without a key is the whole row, and equal rows are counted', () => {
    const [one, other] = [table([], { a: 'x' }, { a: 'x' }), table([], { a: 'x' })];
    expect(differences(one, other)).toEqual([
      'PostgreSQL table t, a = x: there before, but not after',
    ]);
  });

  test('far behind in a long text is shown from shortly before', () => {
    const start = 'a'.repeat(500);
    const [told] = differences(
      table(['id'], { id: '1', a: `${start}old` }),
      table(['id'], { id: '1', a: `${start}new${'b'.repeat(500)}` }),
    );
    const shown = 'a'.repeat(40);
    expect(told).toBe(
      `PostgreSQL table t, id = 1: a is …${shown}old before, …${shown}new${'b'.repeat(77)}… after`,
    );
  });

  test('in a table that one side does not have is all of it', () => {
    const state = [table(['id'], { id: '1' })];
    expect(findDifferences([], state, SIDES, () => false)).toHaveLength(1);
    expect(findDifferences(state, [], SIDES, () => false)).toHaveLength(1);
  });

  test('is nothing where it is ignored', () => {
    const [one, other] = [table(['id'], { id: '1', a: 'x' }), table(['id'], { id: '1', a: 'y' })];
    expect(differences(one, other, ['t.a'])).toEqual([]);
    expect(differences(one, other, ['t.*'])).toEqual([]);
  });
});

describe('what differs from run to run', () => {
  test('is found in columns and in keys, and rows are counted all the same', () => {
    const one = table(['id'], { id: 'random 1', at: '10:00', a: 'x' });
    const other = table(['id'], { id: 'random 2', at: '10:01', a: 'x' });
    const ignores = findVolatile([one], [other], () => false);
    expect(['id', 'at', 'a'].map((column) => ignores('t', column))).toEqual([true, true, false]);
    const twice = table(['id'], ...[1, 2].map((n) => ({ id: `r ${n}`, at: `${n}`, a: 'x' })));
    expect(findDifferences([one], [twice], SIDES, ignores)).toEqual([
      'PostgreSQL table t, a = x: not there before, but after',
    ]);
  });
});

test('of many lines the first twenty are told', () => {
  const seen = Array.from({ length: 25 }, (_, index) => `line ${index + 1}`);
  const finding = { code: 'UndoIncomplete', sample: 'inputs[0]', seen } as const;
  const findings = [{ ...finding, meaning: 'it stays.', advice: 'take it back.' }];
  const { message, fields } = new TwinwriteError('UnsoundDefinition', {
    definition: 'd',
    findings,
  });
  const lines = message.split('\n').filter((line) => line.startsWith('     '));
  expect(lines).toHaveLength(21);
  expect(lines.at(-1)).toBe('     … and 5 more');
  expect(fields.findings[0]?.seen).toHaveLength(25);
});
