/**
 * Goal: what both examples stand on is right. Method: each part by itself, without servers.
 */
import { describe, expect, test } from '@jest/globals';
import { ExampleFailure } from '../../examples/support/example-failure';
import { Lifetime } from '../../examples/support/lifetime';
import { readOptions } from '../../examples/support/options';
import { outcomeTable } from '../../examples/support/outcome-table';
import { Progress } from '../../examples/support/progress';
import type { Entry } from '../../examples/support/settle-all';
import { withMongoDatabase } from '../../examples/support/site';
import { judge, verdictLine } from '../../examples/support/verdict';

describe('the command line', () => {
  const updates = { name: 'updates', standard: 300, most: 100_000 };

  test('has a standard number of updates, and takes another', () => {
    expect(readOptions([], updates)).toEqual({ count: 300, once: false, help: false });
    const given = readOptions(['--updates', '7', '--once'], updates);
    expect(given).toEqual({ count: 7, once: true, help: false });
  });

  test.each([
    [['--updates', '0'], '--updates takes a whole number from 1 to 100000, not "0".'],
    [['--updates', '100001'], '--updates takes a whole number from 1 to 100000, not "100001".'],
    [['--updates', '1e3'], '--updates takes a whole number from 1 to 100000, not "1e3".'],
    [['--update', '5'], "Unknown option '--update'; --help lists what there is."],
    [['many'], "Unexpected argument 'many'; --help lists what there is."],
  ])('%j is refused in one sentence', (args, sentence) => {
    expect(() => readOptions(args, updates)).toThrow(sentence);
  });
});

describe('the verdict', () => {
  test('a document without a row, a row without a document and two that differ are divergent', () => {
    const verdict = judge(
      ['a', 'b', 'c', 'd'].map((id) => ({ id, applied: id !== 'd' })),
      {
        rows: new Map([
          ['a', { _id: 'a', size: 1 }],
          ['b', { _id: 'b', size: 1 }],
        ]),
        documents: new Map([
          ['a', { _id: 'a', size: 1, _tw: { live: true } }],
          ['b', { _id: 'b', size: '1', _tw: { live: true } }],
          ['c', { _id: 'c', _tw: { live: true } }],
          ['d', { _id: 'd', _tw: { live: false } }],
        ]),
      },
    );
    expect(verdictLine(verdict)).toBe('updates: 4 both: 1 neither: 1 divergent: 2');
  });
});

describe('the table', () => {
  test('counts each outcome, with the nearest rank of its times; the schema settles nothing', () => {
    const journal = Array.from({ length: 200 }, (_, index) => entry('applied', index + 1));
    const lines = outcomeTable([...journal, entry('refused', 500), entry('invalid', 900)])
      .split('\n')
      .map((line) => line.replaceAll(/[│ ]+/g, ' ').trim());
    expect(lines).toContain('applied in both stores 200 100 ms 198 ms');
    expect(lines).toContain('refused: nothing written 1 500 ms 500 ms');
    expect(lines).toContain('refused by the schema 1');
    expect(lines).toContain('all, time to settle 202 101 ms 199 ms');
  });

  function entry(answer: Entry<string>['answer'], millis: number): Entry<string> {
    return { input: '', answer, reason: '', millis };
  }
});

describe('progress', () => {
  function record(isTTY: boolean) {
    const written: string[] = [];
    const stream = { isTTY, columns: 60, write: (text: string) => written.push(text) > 0 };
    return { written, stream: stream as unknown as NodeJS.WriteStream };
  }

  test('is a line at each tenth where there is no terminal', () => {
    const { written, stream } = record(false);
    const progress = new Progress('orders', 100, stream);
    for (let done = 1; done <= 100; done += 1) progress.advance();
    progress.stop();
    expect(written).toHaveLength(10);
    expect(written[0]).toMatch(/^orders: 10 of 100, [\d.]+\/s, about \d+ s left\n$/);
    expect(written[9]).toMatch(/^orders: 100 of 100 in [\d.]+ s, [\d.]+\/s\n$/);
    expect(written.join('')).not.toContain('\u001b');
  });

  test('is a bar on a terminal, never wider than that, with what is said above it', () => {
    const { written, stream } = record(true);
    const progress = new Progress('orders', 2, stream);
    progress.advance();
    progress.say('a worker was killed');
    progress.advance();
    progress.stop();
    const text = written.join('');
    expect(text).toContain('\r\u001b[Ka worker was killed\n');
    const drawn = text.split(/[\r\n]/).map((line) => line.replaceAll('\u001b[K', ''));
    expect(Math.max(...drawn.map((line) => line.length))).toBeLessThan(60);
  });
});

describe('the lifetime of a run', () => {
  test('closes what was opened in the other order, whatever fails', async () => {
    const lifetime = new Lifetime();
    const closed: string[] = [];
    lifetime.onClose(async () => closed.push('servers'));
    lifetime.onClose(() => Promise.reject(new Error('already gone')));
    lifetime.onClose(async () => closed.push('workers'));
    await lifetime.close();
    expect(closed).toEqual(['workers', 'servers']);
  });

  test('gives up what it waits for when something fails, for the first reason', async () => {
    const lifetime = new Lifetime();
    const waiting = lifetime.during(new Promise(() => undefined));
    lifetime.end(new ExampleFailure('Worker 1 ended by itself.'));
    lifetime.end(new ExampleFailure('MongoDB does not answer any more.'));
    await expect(waiting).rejects.toThrow('Worker 1 ended by itself.');
    await lifetime.close();
  });
});

test.each([
  ['mongodb://a:1/?replicaSet=rs0', 'mongodb://a:1/run?replicaSet=rs0'],
  ['mongodb://a:1,b:2', 'mongodb://a:1,b:2/run'],
  ['mongodb://u:p@a:1/shop', 'mongodb://u:p@a:1/run?authSource=shop'],
  ['mongodb+srv://u:p@a.net/?authSource=x', 'mongodb+srv://u:p@a.net/run?authSource=x'],
])('%s gets a database of the run, and keeps where its user is', (uri, expected) => {
  expect(withMongoDatabase(uri, 'run')).toBe(expected);
});
