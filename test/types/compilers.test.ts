/**
 * Goal: the types hold under both compilers that applications use. Method: the compilers
 * themselves, over the files beside this one.
 */
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { describe, expect, test } from '@jest/globals';

const ROOT = join(__dirname, '..', '..');

/** What a compiler says about the type tests: nothing, if all is well. */
async function compile(compiler: string): Promise<string> {
  const program = join(ROOT, 'node_modules', compiler, 'bin', 'tsc');
  return await promisify(execFile)(process.execPath, [program, '-p', __dirname], { cwd: ROOT })
    .then(({ stdout }) => stdout)
    .catch((failed: Error & { stdout?: string }) => failed.stdout || failed.message);
}

describe('the types of definitions, callbacks and outcomes', () => {
  test.each(['typescript', 'typescript-5.9'])('hold under %s', async (compiler) => {
    expect(await compile(compiler)).toBe('');
  });
});
