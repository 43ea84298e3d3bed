import { readStackEnvironment } from '../../../src/stack/environment';
import { startStack } from '../../../src/stack/index';

/**
 * A small program that starts a stack, as its own process: it prints what it was told, one JSON
 * value a line, then stays until it is ended. Its argument has the options.
 */
const options = JSON.parse(process.argv[2] ?? '{}') as {
  sources?: Record<string, string>;
  home: string;
};

async function main(): Promise<void> {
  const stack = await startStack({
    environment: readStackEnvironment(process.env, options.home),
    sources: options.sources ?? {},
    progress: (event) => print(event),
  });
  print({ phase: 'up', folder: stack.folder });
  setInterval(() => undefined, 60_000);
}

function print(value: unknown): void {
  process.stdout.write(`${JSON.stringify(value)}\n`);
}

main().catch((error: Error) => {
  process.stderr.write(`${error.message}\n`);
  process.exitCode = 1;
});
