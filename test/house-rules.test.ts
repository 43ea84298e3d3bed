/** Goal: what lint cannot say of the house rules. Method: the files as text. */
import { readdirSync, readFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { describe, expect, test } from '@jest/globals';

const ROOT = join(__dirname, '..');

function filesBelow(folder: string, ending: string): string[] {
  return readdirSync(join(ROOT, folder), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith(ending))
    .map((name) => join(folder, name));
}

const read = (file: string): string => readFileSync(join(ROOT, file), 'utf8');

describe('house rules', () => {
  const sources = ['src', 'examples'].flatMap((folder) => filesBelow(folder, '.ts'));

  test('files are kebab-case', () => {
    const wrong = sources.filter(
      (file) => !/^[a-z0-9-]+(\.config)?\.ts$/.test(file.split('/').at(-1) ?? ''),
    );
    expect(wrong).toEqual([]);
  });

  test('postgres and mongo mirror each other', () => {
    const names = (folder: string) =>
      new Set(
        readdirSync(join(ROOT, 'src/activities', folder)).filter((name) => name.endsWith('.ts')),
      );
    const [postgres, mongo] = [names('postgres'), names('mongo')];
    // A callback's client is lent in Postgres, its session bound in MongoDB; only MongoDB has
    // projected documents, transactions that outlive their connection, and requests that nothing
    // but we bounds; only Postgres an outbox.
    const own = new Set([
      'callback-client.ts',
      'orphans.ts',
      'deadline.ts',
      'outbox.ts',
      'outbox-listener.ts',
    ]);
    const isOwn = (name: string) => own.has(name) || name.startsWith('projection');
    const unmatched = [...postgres, ...mongo].filter(
      (name) => !(postgres.has(name) && mongo.has(name)) && !isOwn(name),
    );
    expect(unmatched).toEqual([]);
  });

  test('a disabled lint rule carries its reason on the same line', () => {
    const disabled = sources.flatMap((file) =>
      read(file)
        .split('\n')
        .filter((line) => /(oxlint|eslint)-disable/.test(line) && !/-- \w+/.test(line))
        .map((line) => `${file}: ${line.trim()}`),
    );
    expect(disabled).toEqual([]);
  });

  test('nothing waits by sleeping: a pause stands in the one helper that has a deadline', () => {
    const sleepers = filesBelow('test', '.ts').filter(
      (file) =>
        file !== relative(ROOT, __filename) &&
        /setTimeout.*timers\/promises|promisify\(setTimeout/.test(read(file)),
    );
    // Late calls are what the chaos is made of.
    expect(sleepers.sort()).toEqual(['test/chaos/latency.ts', 'test/support/eventually.ts']);
  });

  test('what the README defines is what the example runs', () => {
    const blocks = [...read('README.md').matchAll(/^```ts\n([\s\S]*?)\n```$/gm)].map(
      ([, block]) => block,
    );
    const defined = blocks.filter((block) => block?.startsWith('export const'));
    expect(defined).toHaveLength(2);
    for (const block of defined) expect(read('examples/orders/definition.ts')).toContain(block);
  });

  test('every finding that is cited is explained, and cited where the explanation says', () => {
    const file = 'docs/decisions/0009-findings.md';
    const rows = [...read(file).matchAll(/^\| (F\d+) +\|.*\|([^|]*)\|$/gm)];
    const explained = new Map(rows.map(([, finding, places]) => [finding, places ?? '']));
    const cited = [...filesBelow('src', '.ts'), ...filesBelow('test', '.ts')].flatMap((place) =>
      [...read(place).matchAll(/\bF\d{1,2}\b/g)].map(([finding]) => finding),
    );
    expect([...new Set(cited)].filter((finding) => !explained.has(finding))).toEqual([]);
    for (const [finding, places] of explained) {
      for (const [, place = ''] of places.matchAll(/`([^`]+)`/g)) {
        const text = read(`test/${place.endsWith('.ts') ? place : `${place}.test.ts`}`);
        expect(text).toMatch(new RegExp(`\\b${finding}\\b`));
      }
    }
  });

  test('every guarantee names a test that there is', () => {
    const rows = read('docs/guarantees.md')
      .split('\n')
      .filter((line) => /^\| (?!what happens|---)/.test(line));
    const nameless = rows.filter((row) => {
      const [, file = '', name = ''] = /`([\w/.-]+\.test\.ts)` ([^|]+)\|$/.exec(row.trim()) ?? [];
      if (file === '') return true;
      const text = read(join('test', file)).replaceAll("\\'", "'");
      return name.trim().length < 10 || !text.includes(name.trim());
    });
    expect(rows.length).toBeGreaterThan(30);
    expect(nameless).toEqual([]);
  });

  test('every metric is explained where operators look', () => {
    const named = filesBelow('src/worker', '.ts').flatMap((file) =>
      [...read(file).matchAll(/'(twinwrite_\w+)'/g)].map(([, name = '']) => name),
    );
    expect(named.length).toBeGreaterThan(10);
    const text = read('docs/operations.md');
    expect(named.filter((name) => !text.includes(name))).toEqual([]);
  });

  test('every error code is explained where users look', () => {
    const codes = [...read('src/domain/errors.ts').matchAll(/^ {2}([A-Z]\w+): \{/gm)].map(
      ([, code]) => code,
    );
    const missing = codes.filter((code) => !read('docs/errors.md').includes(`\`${code}\``));
    expect(missing).toEqual([]);
  });
});
