import { type Command, InvalidArgumentError } from 'commander';
import { readCommandConfig } from '../config';
import type { TwinwriteConfig } from '../define-config';

export const DEFAULT_CONFIG_FILE = 'twinwrite.config.ts';

export function withJson(
  command: Command,
  what = 'print one JSON document on standard output',
): Command {
  return command.option('--json', `${what}; people's text goes to standard error`);
}

export function withConfig(command: Command): Command {
  return command.option(
    '-c, --config <file>',
    'the file that lists the definitions',
    DEFAULT_CONFIG_FILE,
  );
}

export function withTaskQueue(command: Command): Command {
  return command.option(
    '-q, --task-queue <name>',
    'the queue of the pool of workers (default: TWINWRITE_TASK_QUEUE, then the config file, then twinwrite)',
  );
}

/** What every command has that changes one update. */
export interface InterventionOptions {
  readonly dryRun?: boolean;
  readonly reason?: string;
}

export function withIntervention(command: Command): Command {
  return command
    .option('--dry-run', 'tell what would be done, and do nothing')
    .option(
      '--reason <text>',
      'why, for those who look later: kept in its history, and in twinwrite.intervention where DATABASE_URL is set',
    );
}

/** Reads an option that is a whole number within bounds. */
export function wholeNumber(minimum: number, maximum: number) {
  return (text: string): number => {
    const value = Number(text);
    if (/^\d+$/.test(text) && value >= minimum && value <= maximum) return value;
    throw new InvalidArgumentError(`It is a whole number between ${minimum} and ${maximum}.`);
  };
}

export function taskQueueOf(
  options: { readonly taskQueue?: string },
  config: TwinwriteConfig | undefined,
): string {
  return options.taskQueue ?? readCommandConfig().taskQueue ?? config?.taskQueue ?? 'twinwrite';
}
