import { CommanderError } from 'commander';
import { isTwinwriteError } from '../domain/errors';
import { describeStackError, StackError } from '../stack/errors';

/** The exit codes of every command. */
export const EXIT = { ok: 0, failed: 1, usage: 2 } as const;

export type ExitCode = (typeof EXIT)[keyof typeof EXIT];

/** What was typed cannot be done: another command line can. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
}

/** A command did not reach its end, for a reason that one sentence explains. */
export class CommandFailure extends Error {
  override readonly name = 'CommandFailure';
}

interface Failure {
  readonly exitCode: ExitCode;
  readonly code: string;
  readonly message: string;
}

/**
 * Tells a failure on standard error, and as a document on standard output where JSON was asked for;
 * answers the exit code.
 */
export function reportFailure(error: unknown, isJson: boolean): ExitCode {
  if (error instanceof CommanderError && error.exitCode === 0) return EXIT.ok;
  const { exitCode, code, message } = classify(error);
  process.stderr.write(`twinwrite: ${message}\n`);
  if (isJson) process.stdout.write(`${JSON.stringify({ error: { code, message } })}\n`);
  return exitCode;
}

function classify(error: unknown): Failure {
  if (error instanceof CommanderError) {
    return { exitCode: EXIT.usage, code: 'Usage', message: usageSentence(error) };
  }
  if (error instanceof UsageError) {
    return { exitCode: EXIT.usage, code: 'Usage', message: error.message };
  }
  if (isTwinwriteError(error)) {
    return { exitCode: EXIT.failed, code: error.code, message: error.message };
  }
  if (error instanceof StackError) {
    return { exitCode: EXIT.failed, code: error.code, message: describeStackError(error) };
  }
  if (error instanceof CommandFailure) {
    return { exitCode: EXIT.failed, code: 'Failed', message: error.message };
  }
  const stack = error instanceof Error ? (error.stack ?? error.message) : String(error);
  return {
    exitCode: EXIT.failed,
    code: 'Unexpected',
    message: `this is a bug in Twinwrite; please report it with these lines:\n${stack}`,
  };
}

/** Commander breaks the line before what it suggests. */
function usageSentence({ code, message }: CommanderError): string {
  // Asked for nothing, it has printed the help, which is the best answer.
  if (code === 'commander.help') return 'name one of the commands above.';
  const sentence = message.replace(/^error: /, '').replaceAll(/\s*\n\s*/g, ' ');
  return /Did you mean/.test(sentence) ? sentence : `${sentence}; see "twinwrite --help".`;
}
