import { createInterface } from 'node:readline';
import { type RunAs, startGuarded } from './guarded-process';

/** How much of a program's output is kept for an error's field. */
const KEPT_OUTPUT_CHARACTERS = 64_000;

export interface RunOptions {
  readonly env: NodeJS.ProcessEnv;
  readonly folder?: string | undefined;
  readonly runAs?: RunAs | undefined;
  readonly signal?: AbortSignal | undefined;
  readonly onLine?: ((line: string) => void) | undefined;
}

export interface RunResult {
  readonly exitCode: number;
  /** What it wrote to both outputs; of a long text, the end. */
  readonly output: string;
}

/** Options with their values, as a command line has them: `{ port: '1' }` gives `--port 1`. */
export function optionsOf(values: Readonly<Record<string, string>>): string[] {
  return Object.entries(values).flatMap(([name, value]) => [`--${name}`, value]);
}

/**
 * Runs a program to its end and gives its exit code and output. It ends with this process, and when
 * the signal is aborted, then by throwing the signal's reason.
 */
export async function runProgram(
  program: string,
  args: readonly string[],
  options: RunOptions,
): Promise<RunResult> {
  options.signal?.throwIfAborted();
  const running = await startGuarded({
    program,
    args,
    env: options.env,
    folder: options.folder ?? '/',
    runAs: options.runAs,
    stopSignal: 'TERM',
    graceMillis: 2_000,
    output: 'pipe',
  });
  let output = '';
  for (const stream of [running.guardian.stdout, running.guardian.stderr]) {
    if (stream === null) continue;
    createInterface({ input: stream }).on('line', (line) => {
      output = `${output}${line}\n`.slice(-KEPT_OUTPUT_CHARACTERS);
      options.onLine?.(line);
    });
  }
  const stop = (): void => void running.stop();
  options.signal?.addEventListener('abort', stop, { once: true });
  const exitCode = await running.ended;
  options.signal?.removeEventListener('abort', stop);
  options.signal?.throwIfAborted();
  return { exitCode, output };
}
