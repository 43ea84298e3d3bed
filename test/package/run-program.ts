import { spawn } from 'node:child_process';

export interface ProgramOptions {
  readonly cwd: string;
  readonly env?: NodeJS.ProcessEnv;
  /** It is killed then, and the run fails: a program that a test runs ends by itself. */
  readonly timeoutMillis?: number;
}

export interface ProgramResult {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/**
 * Runs a program to its own end. Rejects when it could not be started or did not end in time, with
 * what it said.
 */
export function runProgram(
  program: string,
  args: readonly string[],
  { cwd, env = process.env, timeoutMillis = 60_000 }: ProgramOptions,
): Promise<ProgramResult> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { cwd, env, stdio: ['ignore', 'pipe', 'pipe'] });
    let stdout = '';
    let stderr = '';
    let isLate = false;
    child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text));
    child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
    const timer = setTimeout(() => {
      isLate = true;
      child.kill('SIGKILL');
    }, timeoutMillis);
    child.once('error', reject);
    child.once('close', (code) => {
      clearTimeout(timer);
      if (!isLate) return resolve({ code, stdout, stderr });
      const said = `${stdout}\n${stderr}`.trim();
      reject(
        new Error(`${program} ${args.join(' ')} did not end in ${timeoutMillis} ms:\n${said}`),
      );
    });
  });
}

/** Runs a program that must succeed, and gives what it printed. */
export async function printed(
  program: string,
  args: readonly string[],
  options: ProgramOptions,
): Promise<string> {
  const { code, stdout, stderr } = await runProgram(program, args, options);
  if (code === 0) return stdout;
  throw new Error(`${program} ${args.join(' ')} ended with code ${code}:\n${stdout}\n${stderr}`);
}

/**
 * The environment for npm in another project: what `npm test` tells its scripts about this one
 * would mislead it.
 */
export function environmentForNpm(): NodeJS.ProcessEnv {
  const misleading = /^npm_(package|lifecycle|command|execpath|node_execpath|config_local_prefix)/;
  const kept = Object.entries(process.env).filter(
    ([name]) => !misleading.test(name) && name !== 'NODE_OPTIONS' && name !== 'INIT_CWD',
  );
  return Object.fromEntries(kept);
}
