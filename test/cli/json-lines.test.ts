/**
 * Goal: a file of any kind and size is read line by line, and a bad line is told without harm to
 * the next. Method: the reader over bytes cut at every place.
 */
import { describe, expect, test } from '@jest/globals';
import { suggest } from '../../src/cli/nearest';
import { type JsonLine, MAX_LINE_BYTES, readJsonLines } from '../../src/cli/submit/json-lines';

async function read(...chunks: readonly (string | Uint8Array)[]): Promise<JsonLine[]> {
  async function* source(): AsyncGenerator<Uint8Array> {
    for (const chunk of chunks) yield typeof chunk === 'string' ? Buffer.from(chunk) : chunk;
  }
  const lines: JsonLine[] = [];
  for await (const line of readJsonLines(source())) lines.push(line);
  return lines;
}

describe('readJsonLines', () => {
  const text = Buffer.from('\uFEFF{"a":"é🎈"}\r\n\n  \n[1]\n"x"');
  const lines = [
    { line: 1, value: { a: 'é🎈' } },
    { line: 4, value: [1] },
    { line: 5, value: 'x' },
  ];

  test('wherever the bytes are cut, the lines are the same; blank ones count and are left out', async () => {
    for (let cut = 0; cut <= text.length; cut += 1) {
      expect(await read(text.subarray(0, cut), text.subarray(cut))).toEqual(lines);
    }
    expect(await read(...[...text].map((byte) => Uint8Array.of(byte)))).toEqual(lines);
  });

  test('no bytes are no lines', async () => {
    expect(await read()).toEqual([]);
    expect(await read('', '\n')).toEqual([]);
  });

  test('a line that is no JSON or no UTF-8 is told with its number', async () => {
    const answer = await read('{"a":\n', Uint8Array.of(0xff, 0x0a), '1\n');
    expect(answer).toEqual([
      { line: 1, problem: expect.stringContaining('is not JSON (') },
      { line: 2, problem: 'is not UTF-8' },
      { line: 3, value: 1 },
    ]);
  });

  test('a line beyond the bound is told, whatever it is made of, and the next one is read', async () => {
    const half = Buffer.alloc(MAX_LINE_BYTES / 2 + 1, ' ');
    expect(await read(half, half, '1\n2')).toEqual([
      { line: 1, problem: `is longer than ${MAX_LINE_BYTES} bytes` },
      { line: 2, value: 2 },
    ]);
  });
});

describe('suggest', () => {
  test('a near name is meant; otherwise some that exist are told', () => {
    expect(suggest('placeordr', ['cancelOrder', 'placeOrder'])).toBe('Did you mean placeOrder?');
    expect(suggest('refund', ['cancelOrder', 'placeOrder'])).toMatch(/^There is .*cancelOrder/);
    const many = Array.from({ length: 8 }, (_, index) => `somethingQuiteLong${index}`);
    expect(suggest('x', many)).toMatch(/ and 3 more\.$/);
    expect(suggest('x', [])).toBe('There is none.');
  });
});
