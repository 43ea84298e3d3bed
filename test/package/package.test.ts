/**
 * Goal: the package works as its users get it. Method: the tarball of `npm pack`, its checkers, and
 * applications in a project outside the repository that installed it from the registry; they run on
 * the real servers, on this Node and on Node 24.
 */
import { readdir, readFile, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { openWorld, type World } from '../support/world';
import { findNode24 } from './node-24';
import { installOutside, packTarball, ROOT, type Tarball } from './outside';
import { printed, runProgram } from './run-program';

const ENTRIES: Record<string, readonly string[]> = {
  '.': ['Twinwrite', 'TwinwriteError', 'defineCrossStoreUpdate', 'defineProjection'],
  './client': ['Twinwrite'],
  './worker': ['createWorker'],
  './testing': ['checkDefinition'],
  './stack': ['startStack'],
};

/** A first run on a fresh machine downloads 300 MB. */
const SLOW_MILLIS = 300_000;

let tarball: Tarball;

beforeAll(async () => {
  tarball = await packTarball();
}, SLOW_MILLIS);

afterAll(async () => {
  await tarball.remove();
});

describe('the tarball', () => {
  const check = (program: string, ...args: string[]) =>
    runProgram(process.execPath, [join(ROOT, 'node_modules', program), ...args], { cwd: ROOT });

  test('is clean for publint', async () => {
    const { code, stdout } = await check('publint/src/cli.js', tarball.path, '--strict');
    expect(stdout).toContain('All good!');
    expect(code).toBe(0);
  });

  test('has types for every way of resolving that current compilers have', async () => {
    // The profile leaves out `node10`, which knows no `exports` and which TypeScript 7 has no more.
    const args = [tarball.path, '--profile', 'node16', '--format', 'json'];
    const { code, stdout } = await check('@arethetypeswrong/cli/dist/index.js', ...args);
    expect(JSON.parse(stdout)).not.toHaveProperty('error');
    expect(code).toBe(0);
  });

  test('holds what was built, its licence and its readme, and no test and no source', () => {
    const strange = tarball.files.filter(
      (path) => !/^dist\/.+\.(js|js\.map|d\.ts)$|^(LICENSE|\w+\.md|package\.json)$/.test(path),
    );
    expect(strange).toEqual([]);
    expect(tarball.files).toEqual(expect.arrayContaining(['LICENSE', 'README.md']));
    expect(tarball.files.some((path) => /^dist\/workflow-bundle.+\.js$/.test(path))).toBe(true);
    expect(tarball.files.filter((path) => /\btest\b|benchmark/.test(path))).toEqual([]);
  });

  test('has source maps that carry their sources', async () => {
    const maps = tarball.files.filter((path) => path.endsWith('.map'));
    expect(maps).not.toEqual([]);
    await printed('tar', ['-xzf', tarball.path], { cwd: dirname(tarball.path) });
    for (const path of maps) {
      const text = await readFile(join(dirname(tarball.path), 'package', path), 'utf8');
      const { sources, sourcesContent } = JSON.parse(text) as Record<string, unknown[]>;
      expect({ path, count: sourcesContent?.length }).toEqual({ path, count: sources?.length });
    }
  });
});

describe('a project that installed it', () => {
  let outside: string;
  let world: World;

  beforeAll(async () => {
    world = await openWorld();
    outside = await installOutside(tarball);
  }, SLOW_MILLIS);

  afterAll(async () => {
    await rm(outside, { recursive: true, force: true });
    await world.close();
  });

  /** What an application is told, and nothing of the environment of this test. */
  const environment = (taskQueue: string): NodeJS.ProcessEnv => ({
    PATH: process.env['PATH'],
    HOME: outside,
    DATABASE_URL: world.postgresUrl,
    MONGODB_URI: world.mongoUri,
    TEMPORAL_ADDRESS: world.addresses.temporalAddress,
    TWINWRITE_TASK_QUEUE: `${world.name}-${taskQueue}`,
  });

  test('has one copy of every peer, at a version that the package takes', async () => {
    const { peerDependencies } = JSON.parse(await readFile(join(ROOT, 'package.json'), 'utf8')) as {
      peerDependencies: Record<string, string>;
    };
    const own = join(outside, 'node_modules', 'twinwrite', 'node_modules');
    const nested = await readdir(own, { recursive: true }).catch(() => []);
    expect(nested.filter((path) => path in peerDependencies)).toEqual([]);
    await printed('npm', ['ls', '--omit=dev'], { cwd: outside });
  });

  test('loads every entry by import and by require, as one copy, with the same names', async () => {
    const text = await printed(process.execPath, ['entries.js'], { cwd: join(outside, 'esm') });
    const entries = JSON.parse(text) as Record<
      string,
      { imported: string[]; required: string[]; same: boolean }
    >;
    expect(Object.keys(entries)).toEqual(Object.keys(ENTRIES));
    for (const [path, { imported, required, same }] of Object.entries(entries)) {
      expect(imported).toEqual(required);
      expect(imported).toEqual(expect.arrayContaining([...(ENTRIES[path] ?? [])]));
      expect(same).toBe(true);
    }
  });

  test('finds the command', async () => {
    const command = join(outside, 'node_modules', '.bin', 'twinwrite');
    const env = environment('command');
    expect(await printed(command, ['--version'], { cwd: outside, env })).toBe('0.1.0\n');
    // Both stores were migrated by the test's world already: it has nothing left to do.
    await printed(command, ['migrate'], { cwd: outside, env });
  });

  const applications = [
    { from: 'esm', node: 'this Node' },
    { from: 'require', node: 'this Node' },
    { from: 'esm', node: 'Node 24' },
    { from: 'require', node: 'Node 24' },
  ];

  test.each(applications)(
    'an application that uses $from writes both stores and ends by itself, on $node',
    async ({ from, node }) => {
      const program = node === 'Node 24' ? await findNode24() : process.execPath;
      const cwd = join(outside, from);
      const env = environment(`${from}-${node.replace(' ', '-')}`);
      const text = await printed(program, ['main.js'], { cwd, env, timeoutMillis: 60_000 });
      const report: unknown = JSON.parse(/^report (.+)$/m.exec(text)?.[1] ?? 'null');
      expect(report).toEqual({
        node: expect.stringMatching(node === 'Node 24' ? /^24\./ : /^\d+\./),
        outcomes: [
          { status: 'applied', result: { guest: 'Ada' } },
          { status: 'applied', result: { dishes: 2 } },
          {
            status: 'refused',
            reason: { code: 'RefusedByDefinition', message: 'this guest is banned' },
          },
        ],
        reuse: 'TokenReused',
        mongo: { guest: 'Ada', dishes: ['soup', 'bread'] },
      });
    },
    SLOW_MILLIS,
  );

  test(
    'a Jest test in CommonJS uses it',
    async () => {
      // Inside Jest, mongodb 7.6 and later imports a module in a way that needs this flag; without
      // it the driver cannot connect.
      const args = [
        '--experimental-vm-modules',
        '--no-warnings',
        '../node_modules/jest/bin/jest.js',
      ];
      const options = {
        cwd: join(outside, 'jest'),
        env: environment('jest'),
        timeoutMillis: 120_000,
      };
      const { code, stderr } = await runProgram(process.execPath, args, options);
      expect(stderr).toMatch(/Tests: +3 passed, 3 total/);
      expect(stderr).not.toContain('did not exit');
      expect(code).toBe(0);
    },
    SLOW_MILLIS,
  );

  // All declarations are checked once, also those of others; then those that the application's own
  // code needs.
  const resolutions = [
    { resolution: 'nodenext', flags: ['--module', 'nodenext', '--skipLibCheck', 'false'] },
    { resolution: 'node16', flags: ['--module', 'node16', '--skipLibCheck'] },
    { resolution: 'bundler', flags: ['--module', 'preserve', '--skipLibCheck'] },
  ];
  const older = { resolution: 'nodenext', flags: ['--module', 'nodenext', '--skipLibCheck'] };
  const compilers = [
    ...resolutions.map((settings) => ({ compiler: 'typescript', ...settings })),
    { compiler: 'typescript-5.9', ...older },
  ];

  test.each(compilers)(
    'its types compile under $compiler with moduleResolution $resolution',
    async ({ compiler, resolution, flags }) => {
      const tsc = join(ROOT, 'node_modules', compiler, 'bin', 'tsc');
      const strict = ['--noEmit', '--strict', '--exactOptionalPropertyTypes', '--target', 'es2023'];
      const args = [tsc, ...strict, '--moduleResolution', resolution, ...flags, 'shop.ts'];
      const cwd = join(outside, 'typescript');
      const { stdout, stderr } = await runProgram(process.execPath, args, { cwd });
      expect(stderr).toBe('');
      // Some declarations of @temporalio have errors of their own, which we cannot mend.
      const errors = stdout.split('\n').filter((line) => /^\S.*: error TS/.test(line));
      expect(errors.filter((line) => !line.includes('node_modules/@temporalio/'))).toEqual([]);
    },
  );
});
