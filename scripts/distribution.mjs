// What dist/ is made of, and how: the types and the JavaScript, the bundle of the workflows, the command.
import { createHash } from 'node:crypto';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { Failure, ROOT, run } from './run.mjs';

const STAMP = join(ROOT, 'node_modules', '.cache', 'twinwrite', 'build-stamp');

/** Everything that decides what dist/ contains. */
const INPUTS = [
  'src',
  'package.json',
  'package-lock.json',
  'tsconfig.json',
  'scripts/distribution.mjs',
];

/** Whether dist/ is what a build would make now. By content: a checkout changes the times of files. */
export function isBuilt() {
  if (!existsSync(join(ROOT, 'dist', 'index.js')) || !existsSync(STAMP)) return false;
  return readFileSync(STAMP, 'utf8') === fingerprint();
}

/** Makes dist/ anew. */
export async function build() {
  // Taken before, so that a file that changes during the build makes the next one build again.
  const stamp = fingerprint();
  rmSync(STAMP, { force: true });
  rmSync(join(ROOT, 'dist'), { recursive: true, force: true });
  await step('node_modules/.bin/tsc', []);
  const bundler = 'dist/worker/build-workflow-bundle.js';
  if (existsSync(join(ROOT, bundler))) await step(process.execPath, [bundler]);
  const command = join(ROOT, 'dist', 'cli.js');
  if (existsSync(command)) chmodSync(command, 0o755);
  mkdirSync(dirname(STAMP), { recursive: true });
  writeFileSync(STAMP, stamp);
}

/** @param {string} program @param {string[]} args */
async function step(program, args) {
  let output = '';
  const code = await run(program, args, {
    stdio: ['ignore', 'pipe', 'pipe'],
    onOutput: (text) => (output += text),
  });
  if (code === 0) return;
  const what = [program, ...args].join(' ').replace(process.execPath, 'node');
  throw new Failure(
    `${output.trimEnd()}\nThe build failed in \`${what}\`; the lines above say why.`,
  );
}

function fingerprint() {
  const hash = createHash('sha256').update(process.version);
  const add = (/** @type {string} */ path) => {
    if (!existsSync(path)) return;
    hash.update(`${path}\n`).update(readFileSync(path)).update('\n');
  };
  for (const input of INPUTS.map((name) => join(ROOT, name))) {
    if (!input.endsWith('src')) {
      add(input);
      continue;
    }
    const entries = readdirSync(input, { recursive: true, withFileTypes: true });
    const files = entries.filter((entry) => entry.isFile());
    for (const file of files.map((entry) => join(entry.parentPath, entry.name)).sort()) add(file);
  }
  return hash.digest('hex');
}
