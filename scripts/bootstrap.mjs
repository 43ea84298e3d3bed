// Makes a bare clone ready to run: dependencies installed, dist/ built. Uses nothing but Node.
import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { build, isBuilt } from './distribution.mjs';
import { withLock } from './process-lock.mjs';
import { Failure, ROOT, run } from './run.mjs';

const OLDEST_NODE = [20, 19];
const LINE_INTERVAL_MILLIS = 10_000;
const LOCKFILE = join(ROOT, 'package-lock.json');
/** npm writes it at the very end of an installation, so a broken one has none. */
const MARKER = join(ROOT, 'node_modules', '.package-lock.json');

/** What to say of the code that npm ends with. */
const REASONS = new Map([
  [
    /ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ECONNRESET|ETIMEDOUT|ENETUNREACH|EHOSTUNREACH|ERR_SOCKET_TIMEOUT/,
    'the package registry cannot be reached: connect to a network, or point npm at a registry that is reachable (npm config set registry …), and run the command again',
  ],
  [/ENOSPC|EDQUOT/, 'the disk is full: free about 1 GB and run the command again'],
  [
    /EACCES|EPERM|EROFS/,
    'the folder of the clone is not writable: make it so and run the command again',
  ],
  [/EBADENGINE/, 'this version of Node is not supported by a dependency: use Node 20.19 or later'],
  [
    /EINTEGRITY/,
    'a package is not what the lockfile says, which may be an attack: run `npm cache verify`, then the command again',
  ],
  [
    /EUSAGE/,
    'package.json and package-lock.json do not agree: run `npm install`, then the command again',
  ],
  [
    /E40[134]/,
    'the registry refuses or lacks a package: check `npm config get registry` and your access to it',
  ],
]);

/**
 * Installs the dependencies when they are missing or older than the lockfile, and builds dist/ when
 * it is not what src/ says. Two at once in one clone: the second waits, then finds all done. Throws
 * a `Failure` whose sentence says what to do.
 *
 * @param {{ build?: boolean }} [options]
 */
export async function bootstrap(options = {}) {
  requireNode();
  const shallBuild = options.build ?? true;
  if (isInstalled() && (!shallBuild || isBuilt())) return;
  await withLock(lockFolder(), sayWaiting, async () => {
    if (!isInstalled()) await install();
    if (shallBuild && !isBuilt()) {
      console.error('Building dist/ …');
      await build();
    }
  });
}

function requireNode() {
  const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
  const [oldestMajor = 0, oldestMinor = 0] = OLDEST_NODE;
  if (major > oldestMajor || (major === oldestMajor && minor >= oldestMinor)) return;
  throw new Failure(
    `Node ${process.versions.node} is too old; install Node ${OLDEST_NODE.join('.')} or later (https://nodejs.org) and run the command again.`,
  );
}

/** Outside the clone, where `npm ci` would remove it and where nothing may be left. */
function lockFolder() {
  const clone = createHash('sha256').update(ROOT).digest('hex').slice(0, 16);
  return join(tmpdir(), `twinwrite-bootstrap-${clone}.lock`);
}

/** @param {number} processId */
function sayWaiting(processId) {
  console.error(`Process ${processId} is setting up this clone already; waiting for that …`);
}

function isInstalled() {
  if (!existsSync(MARKER)) return false;
  return !existsSync(LOCKFILE) || statSync(MARKER).mtimeMs >= statSync(LOCKFILE).mtimeMs;
}

async function install() {
  const stopShowing = showProgress(countLocked());
  // Without a network, npm asks in vain for one package after another, for minutes: one question
  // with a short limit comes first.
  const question = ['view', 'zod', 'version', '--prefer-offline'];
  const limits = ['--fetch-retries=1', '--fetch-retry-mintimeout=500', '--fetch-timeout=5000'];
  // A registry may lack packages of other platforms, and a lockfile made there names them without
  // an entry: `npm ci` refuses that, while this installs what is locked, and leaves the lockfile.
  const lenient = ['install', '--no-save'];
  const result = await npm([...question, ...limits])
    .then((asked) => (asked.code === 0 ? npm(['ci']) : asked))
    .then((strict) => (strict.npmCode === 'EUSAGE' ? npm(lenient) : strict))
    .finally(stopShowing);
  if (result.code === 0) return;
  const { code, npmCode, output } = result;
  const known = [...REASONS].find(([codes]) => codes.test(npmCode))?.[1];
  const reason = known ?? `npm ended with code ${code} ${npmCode}`.trimEnd();
  if (known === undefined) console.error(output.trimEnd());
  throw new Failure(`The dependencies could not be installed; ${reason}.`);
}

/** @param {string[]} command */
async function npm(command) {
  let output = '';
  // npm lies beside the running Node, whatever the PATH says.
  const path = [process.env['PATH'] ?? '', dirname(process.execPath)].join(delimiter);
  const code = await run('npm', [...command, '--no-audit', '--no-fund', '--loglevel=error'], {
    env: { ...process.env, PATH: path },
    stdio: ['ignore', 'pipe', 'pipe'],
    onOutput: (text) => (output += text),
  });
  return { code, output, npmCode: /npm (?:error|ERR!) code (\S+)/.exec(output)?.[1] ?? '' };
}

function countLocked() {
  const lock = JSON.parse(readFileSync(LOCKFILE, 'utf8'));
  const top = (/** @type {string} */ path) => /^node_modules\/(@[^/]+\/)?[^/]+$/.test(path);
  const wanted = (/** @type {[string, any]} */ [path, entry]) => top(path) && !entry.optional;
  return Object.entries(lock.packages).filter(wanted).length;
}

function countInstalled() {
  const folder = join(ROOT, 'node_modules');
  try {
    return readdirSync(folder).reduce((count, name) => {
      if (name.startsWith('.')) return count;
      return count + (name.startsWith('@') ? readdirSync(join(folder, name)).length : 1);
    }, 0);
  } catch {
    // npm is removing it, or has not made it yet.
    return 0;
  }
}

/** @param {number} total */
function showProgress(total) {
  const stream = process.stderr;
  const startedMillis = Date.now();
  let lastLineMillis = startedMillis;
  if (!stream.isTTY) stream.write(`Installing about ${total} packages …\n`);
  const timer = setInterval(() => {
    const done = Math.min(countInstalled(), total);
    if (stream.isTTY) {
      const filled = Math.round((24 * done) / total);
      stream.write(
        `\rInstalling ${'█'.repeat(filled).padEnd(24, '░')} ${done} of about ${total} packages `,
      );
    } else if (Date.now() - lastLineMillis >= LINE_INTERVAL_MILLIS) {
      lastLineMillis = Date.now();
      const seconds = Math.round((Date.now() - startedMillis) / 1000);
      stream.write(`Installing: ${done} of about ${total} packages, ${seconds} s\n`);
    }
  }, 250);
  return () => {
    clearInterval(timer);
    if (stream.isTTY) stream.write('\r\u001b[K');
  };
}
