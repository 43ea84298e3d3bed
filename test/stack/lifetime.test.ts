/**
 * Goal: what a stack started ends with the process that started it, however that ends. Method: a
 * small program starts a whole stack as a process of its own, and is ended in each way.
 */
import { readdir, rm } from 'node:fs/promises';
import { afterEach, expect, test } from '@jest/globals';
import {
  closeAll,
  isThere,
  type Program,
  processesNaming,
  REFUSING_SOURCES,
  requireOneSentence,
  startProgram,
  temporaryFolder,
  until,
} from './support';

afterEach(closeAll);

const PROGRAM = require.resolve('./programs/start-stack');

async function startedStack(): Promise<{ program: Program; folder: string }> {
  const program = startProgram(PROGRAM, { home: process.env['HOME'] }, process.env);
  const isOver = () => program.printed.at(-1)?.phase === 'up' || program.errors() !== '';
  await until('the stack is up', isOver, 60_000);
  expect(program.errors()).toBe('');
  const folder = String(program.printed.at(-1)?.['folder']);
  expect((await processesNaming(folder)).length).toBeGreaterThanOrEqual(4);
  return { program, folder };
}

async function expectNothingLeft(folder: string): Promise<void> {
  await until('no process is left', async () => (await processesNaming(folder)).length === 0);
  await until('the runtime folder is removed', () => !isThere(folder));
}

test('a program that is killed by SIGKILL leaves no server and no folder', async () => {
  const { program, folder } = await startedStack();
  program.child.kill('SIGKILL');
  expect(await program.ended).toEqual({ code: null, signal: 'SIGKILL' });
  await expectNothingLeft(folder);
});

test.each(['SIGINT', 'SIGTERM'] as const)(
  'on %s all is stopped before the program ends',
  async (signal) => {
    const { program, folder } = await startedStack();
    program.child.kill(signal);
    expect(await program.ended).toEqual({ code: null, signal });
    expect(await processesNaming(folder)).toEqual([]);
    expect(isThere(folder)).toBe(false);
  },
);

test('a start that fails exits with one sentence and leaves nothing', async () => {
  const temporary = await temporaryFolder();
  const env = { ...process.env, XDG_CACHE_HOME: temporary, TMPDIR: temporary, PATH: '' };
  const argument = { home: temporary, sources: REFUSING_SOURCES };
  const program = startProgram(PROGRAM, argument, env);
  expect(await program.ended).toEqual({ code: 1, signal: null });
  requireOneSentence(program.errors().trimEnd());
  expect(await processesNaming(temporary)).toEqual([]);
  expect(await readdir(temporary)).not.toContainEqual(expect.stringMatching(/^twinwrite-stack-/));
});

test('a signal while the stack starts stops what is half started', async () => {
  const program = startProgram(PROGRAM, { home: process.env['HOME'] }, process.env);
  await until('a server starts', () => program.printed.some(({ phase }) => phase === 'starting'));
  program.child.kill('SIGTERM');
  expect((await program.ended).signal).toBe('SIGTERM');
  expect(program.printed.some(({ phase }) => phase === 'up')).toBe(false);
});

test('two stacks at the same time do not meet', async () => {
  const [one, other] = await Promise.all([startedStack(), startedStack()]);
  one.program.child.kill('SIGTERM');
  await one.program.ended;
  expect(isThere(other.folder)).toBe(true);
  other.program.child.kill('SIGTERM');
  await other.program.ended;
  await expectNothingLeft(other.folder);
  await rm(one.folder, { recursive: true, force: true });
});
