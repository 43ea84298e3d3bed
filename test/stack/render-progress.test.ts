/** Goal: without a terminal, progress is few plain lines, and each address is told at once. */
import { expect, test } from '@jest/globals';
import type { StackEvent } from '../../src/stack/events';
import { renderProgress } from '../../src/stack/render-progress';

function linesOf(events: readonly StackEvent[]): string[] {
  const lines: string[] = [];
  const { progress, stop } = renderProgress({ write: (text: string) => lines.push(text) });
  for (const event of events) progress(event);
  stop();
  return lines;
}

test('a build of a thousand packages is told at its start and at each tenth', () => {
  const building = {
    server: 'temporal',
    phase: 'building',
    source: 'the CLI',
    total: 1_000,
  } as const;
  const events = Array.from({ length: 1_001 }, (_, done) => ({ ...building, done }));
  const lines = linesOf(events);
  expect(lines).toHaveLength(11);
  expect(lines[1]).toBe(
    'Temporal: building the CLI 100 of about 1000 packages (once, some minutes)\n',
  );
});

test('an address is told as soon as its server is ready', () => {
  const ready = { server: 'temporal', phase: 'ready', version: '1.29.1', source: 'built' } as const;
  const event = { ...ready, url: '127.0.0.1:7233', webUrl: 'http://127.0.0.1:8233' };
  expect(linesOf([{ server: 'temporal', phase: 'looking' }, event])).toEqual([
    'Temporal 1.29.1 (built): 127.0.0.1:7233, Web UI http://127.0.0.1:8233\n',
  ]);
});

test('a download of unknown size is told once, and a source that failed says why', () => {
  const downloading = {
    server: 'mongo',
    phase: 'downloading',
    source: 'a wheel',
    done: 0,
  } as const;
  const skipped = { server: 'mongo', phase: 'skipped', source: 'a page', reason: 'gone' } as const;
  expect(linesOf([skipped, downloading, { ...downloading, done: 10 }])).toEqual([
    'MongoDB: a page did not work (gone); trying the next source\n',
    'MongoDB: downloading a wheel\n',
  ]);
});
