// How the scripts run programs: with the terminal of the script, ended by its signals.
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The root of the clone. */
export const ROOT = fileURLToPath(new URL('..', import.meta.url));

/** What to do failed for a reason that one sentence explains; no stack trace helps. */
export class Failure extends Error {}

/**
 * Runs a program in the root of the clone and gives its exit code: 128 and more for a signal.
 *
 * @param {string} program
 * @param {readonly string[]} args
 * @param {{ env?: NodeJS.ProcessEnv, stdio?: import('node:child_process').StdioOptions, onOutput?: (text: string) => void }} [options]
 * @returns {Promise<number>}
 */
export function run(program, args, { env = process.env, stdio = 'inherit', onOutput } = {}) {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { cwd: ROOT, env, stdio });
    for (const stream of [child.stdout, child.stderr]) {
      stream?.setEncoding('utf8').on('data', (text) => onOutput?.(text));
    }
    const stopForwarding = forwardSignals(child);
    child.once('error', (error) => {
      stopForwarding();
      reject(new Failure(`${program} could not be started (${error.message}).`));
    });
    child.once('close', (code, signal) => {
      stopForwarding();
      resolve(code ?? (signal === 'SIGINT' ? 130 : signal === 'SIGTERM' ? 143 : 137));
    });
  });
}

/**
 * Runs a TypeScript program with the clone's own tsx. It ends in its own order when this process is
 * ended, even by SIGKILL.
 *
 * @param {string} program
 * @param {readonly string[]} args
 */
export function runTypeScript(program, args) {
  const guard = new URL('end-with-parent.mjs', import.meta.url).href;
  return run(
    process.execPath,
    ['--import', guard, '--import', 'tsx', join(ROOT, program), ...args],
    {
      stdio: ['inherit', 'inherit', 'inherit', 'ipc'],
    },
  );
}

/**
 * Does the work of a script: its exit code is the one that `work` gives, and a failure that has a
 * sentence is told by that sentence.
 *
 * @param {() => Promise<number>} work
 */
export async function main(work) {
  try {
    process.exitCode = await work();
  } catch (error) {
    console.error(error instanceof Failure ? error.message : error);
    process.exitCode = 1;
  }
}

/** @param {import('node:child_process').ChildProcess} child */
function forwardSignals(child) {
  // A terminal's Ctrl-C has reached the child already, which is in the same group: it must not
  // take a second one for impatience. SIGTERM comes to us alone.
  const onInterrupt = () => void (process.stdin.isTTY || child.kill('SIGINT'));
  const onTerminate = () => void child.kill('SIGTERM');
  process.on('SIGINT', onInterrupt);
  process.on('SIGTERM', onTerminate);
  return () => {
    process.off('SIGINT', onInterrupt);
    process.off('SIGTERM', onTerminate);
  };
}
