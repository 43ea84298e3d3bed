/**
 * Goal: from a bare clone, each thing that keeps a script from working is told in one sentence and
 * by its exit code. Method: copies of the scripts in a clone of their own, whose npm is told to
 * look at a registry that refuses.
 */
import { spawnSync } from 'node:child_process';
import { chmod, cp, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';

const REPOSITORY = join(__dirname, '..', '..');

let clone: string;

beforeEach(async () => {
  clone = await mkdtemp(join(tmpdir(), 'twinwrite-clone-'));
  await cp(join(REPOSITORY, 'scripts'), join(clone, 'scripts'), { recursive: true });
  for (const name of ['package.json', 'package-lock.json']) {
    await cp(join(REPOSITORY, name), join(clone, name));
  }
});

afterEach(() => rm(clone, { recursive: true, force: true }));

function runScript(name: string, env: NodeJS.ProcessEnv = {}) {
  const { status, stdout, stderr } = spawnSync(process.execPath, [join('scripts', name)], {
    cwd: clone,
    env: { ...process.env, ...env },
    encoding: 'utf8',
  });
  return { status, lastLine: stdout.trimEnd().split('\n').at(-1), errors: stderr };
}

/** An npm that fails as the real one does, by its code. */
async function failingNpm(code: string): Promise<NodeJS.ProcessEnv> {
  await writeFile(join(clone, 'npm'), `#!/bin/sh\necho 'npm error code ${code}' >&2\nexit 1\n`);
  await chmod(join(clone, 'npm'), 0o755);
  return { PATH: `${clone}:${process.env['PATH'] ?? ''}` };
}

test('without network, npm test says so, counts no test, and leaves nothing in the clone', async () => {
  const before = await readdir(clone);
  const { status, lastLine, errors } = runScript('test.mjs', {
    npm_config_registry: 'http://127.0.0.1:5',
    npm_config_cache: join(clone, '..', `${clone}-cache`),
  });
  await rm(`${clone}-cache`, { recursive: true, force: true });
  expect(status).toBe(1);
  expect(lastLine).toBe('0 passed, 0 failed');
  expect(errors).toContain('The dependencies could not be installed; ');
  expect((await readdir(clone)).filter((name) => name !== 'node_modules')).toEqual(before);
});

test.each([
  ['ENOSPC', 'the disk is full: free about 1 GB'],
  ['ECONNREFUSED', 'the package registry cannot be reached: connect to a network'],
  ['EACCES', 'the folder of the clone is not writable'],
])('when npm fails with %s, npm start says what to do', async (code, sentence) => {
  const { status, errors } = runScript('start.mjs', await failingNpm(code));
  expect(status).toBe(1);
  expect(errors.trimEnd().split('\n').at(-1)).toMatch(
    new RegExp(`^The dependencies could not be installed; ${sentence}.*\\.$`),
  );
});
