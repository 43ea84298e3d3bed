// `npm test`: the suite on the real servers, from a bare clone. The last line printed is
// `N passed, N failed`, whatever happens. With `--all`, as `npm run verify` runs it, the long ones
// as well.
import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { bootstrap } from './bootstrap.mjs';
import { findLeftovers } from './leftovers.mjs';
import { Failure, main, ROOT, run } from './run.mjs';

/**
 * They build, pack and install the distribution, run the examples as programs, and search schedules:
 * a minute each and more. `npm run verify` and CI run them, and so does naming them.
 */
const LONG = ['test/docker/', 'test/package/', 'test/examples/runs', 'test/explorer/explorer'];

await main(async () => {
  let result = { passed: 0, failed: 0, skipped: 0 };
  let code = 1;
  // A folder for everything temporary of this run: what is in it at the end was left behind.
  const temporary = mkdtempSync(join(tmpdir(), 'twinwrite-test-'));
  // Postgres runs as another user when we are root, and must pass through.
  chmodSync(temporary, 0o711);
  process.env['TMPDIR'] = temporary;
  try {
    await bootstrap();
    const resultFile = join(temporary, 'results.json');
    code = await testOnStack(resultFile, chosen(process.argv.slice(2)));
    if (existsSync(resultFile)) result = readResult(resultFile);
    const leftovers = await findLeftovers(temporary);
    for (const leftover of leftovers) console.error(`Left behind by the tests: ${leftover}`);
    if (leftovers.length > 0) code = 1;
  } catch (error) {
    console.error(error instanceof Failure ? error.message : error);
  } finally {
    rmSync(temporary, { recursive: true, force: true });
  }
  const skipped = result.skipped === 0 ? '' : `, ${result.skipped} skipped`;
  console.log(`${result.passed} passed, ${result.failed} failed${skipped}`);
  if (result.failed > 0 || result.passed === 0) return code || 1;
  return code;
});

/** What Jest is told: everything, what was named, or all but the long ones. @param {string[]} args */
function chosen(args) {
  if (args.includes('--all')) return args.filter((argument) => argument !== '--all');
  const isNamed = args.some((argument) => !argument.startsWith('-'));
  return isNamed ? args : [...args, '--testPathIgnorePatterns', ...LONG];
}

/** @param {string} resultFile @param {string[]} args */
async function testOnStack(resultFile, args) {
  const { startStack, renderProgress, StackError, describeStackError } = await import(
    pathToFileURL(join(ROOT, 'dist', 'stack', 'index.js')).href
  );
  const rendered = renderProgress(process.stderr);
  /** @type {import('../src/stack/index.ts').Stack} */
  const stack = await startStack({ progress: rendered.progress })
    .catch((/** @type {Error} */ error) => {
      throw error instanceof StackError ? new Failure(describeStackError(error)) : error;
    })
    .finally(rendered.stop);
  try {
    const jest = ['--experimental-vm-modules', '--no-warnings', 'node_modules/jest/bin/jest.js'];
    const files = [
      '--json',
      `--outputFile=${resultFile}`,
      `--cacheDirectory=${join(ROOT, 'node_modules/.cache/jest')}`,
    ];
    return await run(process.execPath, [...jest, ...files, ...args], {
      env: { ...process.env, TWINWRITE_TEST_STACK: JSON.stringify(addressesOf(stack)) },
      // Its standard output is the results as JSON, which the file has too.
      stdio: ['inherit', 'ignore', 'inherit'],
    });
  } finally {
    await stack.stop();
  }
}

/** @param {import('../src/stack/index.ts').Stack} stack */
function addressesOf({ postgres, mongo, temporal }) {
  return {
    postgresUrl: postgres.url,
    mongoUri: mongo.uri,
    temporalAddress: temporal.address,
    temporalWebUrl: temporal.webUrl,
    temporalProgram: temporal.program,
    // Only of servers that this run started: faults are injected into no others.
    processIds: {
      postgres: postgres.processId,
      mongo: mongo.processId,
      temporal: temporal.processId,
    },
  };
}

/** @param {string} file */
function readResult(file) {
  const json = JSON.parse(readFileSync(file, 'utf8'));
  return {
    passed: json.numPassedTests,
    // A file that does not even load has no test that could fail.
    failed: json.numFailedTests + json.numRuntimeErrorTestSuites,
    skipped: json.numPendingTests + json.numTodoTests,
  };
}
