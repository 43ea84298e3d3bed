/**
 * Goal: whoever mistypes is told the right thing, with exit code 2, and help needs no manual.
 * Method: the real command without any server.
 */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { ORDERS_CONFIG, runCli } from './run-cli';

describe('the command line', () => {
  let folder: string;

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'twinwrite-cli-'));
  });

  afterAll(async () => {
    await rm(folder, { recursive: true });
  });

  test.each([
    [['wroker'], "unknown command 'wroker' (Did you mean worker?)"],
    [['stack', 'upp'], "unknown command 'upp' (Did you mean up?)"],
    [['submit', 'placeOrder', '--fiel', 'x'], "unknown option '--fiel' (Did you mean --file?)"],
    [['submit', 'placeOrder'], 'Name the inputs with --file FILE, or --file - for standard input.'],
    [['submit', 'x', '--file', '-', '-n', '0'], 'It is a whole number between 1 and 10000'],
    [['show', 'placeOrder'], "missing required argument 'token'; see"],
    [['worker', '--health-port', '70000'], 'It is a whole number between 0 and 65535'],
    [['worker', '--config', 'nowhere.ts'], 'Set these environment variables right'],
    [['submit', 'x', '--file', '-', '-c', 'nowhere.ts'], 'There is no file nowhere.ts in'],
    [
      ['submit', 'placOrder', '--file', '-', '-c', ORDERS_CONFIG],
      'has no definition "placOrder". Did you mean placeOrder?',
    ],
    [
      ['submit', 'somethingElse', '--file', '-', '-c', ORDERS_CONFIG],
      'has no definition "somethingElse". There is placeOrder.',
    ],
    [
      ['submit', 'placeOrder', '--file', 'nowhere.jsonl', '-c', ORDERS_CONFIG],
      'nowhere.jsonl cannot be read (not found); name a file of JSON lines.',
    ],
  ])('%j is answered with one sentence', async (args, sentence) => {
    const { code, stdout, stderr } = await runCli(args, { cwd: folder });
    expect(stderr).toContain(`twinwrite: `);
    expect(stderr).toContain(sentence);
    expect(stderr.trimEnd().split('\n').length).toBe(1);
    expect(stdout).toBe('');
    expect(code).toBe(sentence.startsWith('Set these') ? 1 : 2);
  });

  test.each([
    ['export const updates = 1;', 'has no configuration as its default export'],
    ['export default { updates: [] };', 'lists at least one definition'],
    [
      'export default { updates: [{ name: "x" }] };',
      'updates[0] of the configuration is not a def',
    ],
    [
      "import { defineConfig } from 'twinwrite'; export default defineConfig({ updates: [1] as never });",
      'updates[0] of the configuration is not a def',
    ],
    ['throw new Error("no luck");', 'could not be loaded; mend what it or its imports throw'],
    ['export default {', 'could not be loaded; mend what it or its imports throw'],
  ])('a config file that says %j is refused', async (text, sentence) => {
    const file = join(folder, 'twinwrite.config.ts');
    await writeFile(file, text);
    const { code, stderr } = await runCli(['submit', 'x', '--file', '-'], { cwd: folder });
    expect(stderr).toContain('twinwrite.config.ts');
    expect(stderr).toContain(sentence);
    expect(code).toBe(2);
  });

  test('with --json a failure is a document as well', async () => {
    const { code, stdout } = await runCli(['show', 'x', '--json'], { cwd: folder });
    expect(code).toBe(2);
    expect(JSON.parse(stdout)).toEqual({
      error: { code: 'Usage', message: expect.stringContaining("argument 'token'") },
    });
  });

  test.each([
    ['stack'],
    ['stack up'],
    ['migrate'],
    ['worker'],
    ['submit'],
    ['show'],
    ['list'],
    ['retry'],
    ['cancel'],
    ['prove'],
    ['adopt'],
    ['collect'],
  ])('the help of %s has its options and examples', async (command) => {
    const { code, stdout, stderr } = await runCli([...command.split(' '), '--help']);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(stdout).toContain(`Usage: twinwrite ${command}`);
    if (command === 'stack up') return;
    expect(stdout).toContain('Examples:');
    expect(stdout).toContain('Exit codes:');
    expect(stdout).toContain('Environment:');
  });

  test('the version is that of the package, and no command at all gets the help', async () => {
    const { version } = require('../../package.json') as { version: string };
    expect(await runCli(['--version'])).toEqual({ code: 0, stdout: `${version}\n`, stderr: '' });
    const nothing = await runCli([]);
    expect(nothing.code).toBe(2);
    expect(nothing.stderr).toContain('Commands:');
  });
});
