import { statfs } from 'node:fs/promises';
import { StackError } from './errors';
import { firstLine, tailOf } from './reasons';
import type { RunResult } from './run-program';

/** Below this, a program that failed is taken to have failed for want of space. */
const FULL_BELOW_BYTES = 8 * 1024 * 1024;

/** One source of a server did not work out; the next one is tried. */
export class SourceFailure extends Error {
  constructor(reason: string, options?: ErrorOptions) {
    super(reason, options);
    this.name = 'SourceFailure';
  }
}

/**
 * Whether a program failed because the disk is full. The free space is asked first; but initdb and
 * npm clean up after themselves, and then only the system's own words remain in what they wrote.
 */
export async function isDiskFull(folder: string, output: string): Promise<boolean> {
  if (/no space left on device|disk is full|disk quota exceeded/i.test(output)) return true;
  const space = await statfs(folder).catch(() => undefined);
  return space !== undefined && space.bavail * space.bsize < FULL_BELOW_BYTES;
}

/** Throws unless the program ended well. `telling` picks the line of its output that says why. */
export async function requireSuccess(
  result: RunResult,
  program: string,
  folder: string,
  telling: (output: string) => string | undefined = () => undefined,
): Promise<void> {
  if (result.exitCode === 0) return;
  if (await isDiskFull(folder, result.output)) {
    throw new StackError({ code: 'DiskFull', folder, log: tailOf(result.output) });
  }
  if (result.exitCode === 127) throw new SourceFailure(`${program} is not on the PATH`);
  const line =
    telling(result.output) ?? firstLine(result.output.split('\n').toReversed().join('\n'));
  throw new SourceFailure(`${program} ended with code ${result.exitCode} (${firstLine(line)})`);
}
