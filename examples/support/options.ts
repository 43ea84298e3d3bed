import { parseArgs } from 'node:util';

/** What both examples take on their command line. */
export interface ExampleOptions {
  /** How many updates, unless something else decides. */
  readonly count: number;
  /** Ends after the verdict, on a terminal too. */
  readonly once: boolean;
  readonly help: boolean;
}

/** The one number that an example takes: `--updates N`. */
export interface CountOption {
  readonly name: string;
  readonly standard: number;
  readonly most: number;
}

/** The command line is wrong: exit code 2. */
export class UsageError extends Error {}

/**
 * Reads the command line.
 *
 * @throws UsageError with one sentence that says what to write instead
 */
export function readOptions(args: readonly string[], count: CountOption): ExampleOptions {
  const { values } = parse(args, count);
  const given = values[count.name];
  return {
    count: typeof given === 'string' ? readCount(given, count) : count.standard,
    once: values['once'] === true,
    help: values['help'] === true,
  };
}

function parse(args: readonly string[], count: CountOption) {
  try {
    return parseArgs({
      args: [...args],
      strict: true,
      options: {
        [count.name]: { type: 'string' },
        once: { type: 'boolean' },
        help: { type: 'boolean', short: 'h' },
      },
    });
  } catch (error) {
    // Node's own sentence goes on with advice about positional arguments; its first sentence is
    // enough.
    const [problem] = (error as Error).message.split(/\. |\n/);
    throw new UsageError(`${problem}; --help lists what there is.`, { cause: error });
  }
}

function readCount(text: string, { name, most }: CountOption): number {
  const number = Number(text);
  if (/^\d+$/.test(text) && number >= 1 && number <= most) return number;
  throw new UsageError(`--${name} takes a whole number from 1 to ${most}, not "${text}".`);
}
