import { StackError } from './errors';
import type { RunAs } from './guarded-process';
import { runProgram } from './run-program';

/**
 * The user that PostgreSQL runs as when we are root, which it refuses: `postgres` where its package
 * was installed, else `nobody`. No user is ever created. Undefined when we are not root.
 */
export async function unprivilegedUser(env: NodeJS.ProcessEnv): Promise<RunAs | undefined> {
  if (process.getuid?.() !== 0) return undefined;
  for (const name of ['postgres', 'nobody']) {
    const [uid, gid] = await Promise.all([idOf(name, '-u', env), idOf(name, '-g', env)]);
    if (uid !== undefined && gid !== undefined) return { uid, gid };
  }
  throw new StackError({ code: 'NoUnprivilegedUser' });
}

async function idOf(
  name: string,
  kind: '-u' | '-g',
  env: NodeJS.ProcessEnv,
): Promise<number | undefined> {
  // By its path: an empty PATH is no reason not to find it.
  const { exitCode, output } = await runProgram('/usr/bin/id', [kind, name], { env });
  return exitCode === 0 ? Number(output.trim()) : undefined;
}
