import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Command } from 'commander';
import { adoptCommand } from './commands/adopt';
import { cancelCommand } from './commands/cancel';
import { collectCommand } from './commands/collect';
import { epochCommand } from './commands/epoch';
import { listCommand } from './commands/list';
import { migrateCommand } from './commands/migrate';
import { proveCommand } from './commands/prove';
import { retryCommand } from './commands/retry';
import { showCommand } from './commands/show';
import { stackCommand } from './commands/stack';
import { submitCommand } from './commands/submit';
import { workerCommand } from './commands/worker';

/**
 * The commands. None of them loads what it does not need: Temporal's native library takes most of a
 * second.
 */
export function createProgram(): Command {
  const program = new Command('twinwrite')
    .description('One business change lands in PostgreSQL and in MongoDB, or in neither.')
    .version(packageVersion(), '-V, --version', 'print the version')
    .helpOption('-h, --help', 'print this help')
    .helpCommand('help [command]', 'print the help of a command')
    .addHelpText('after', EPILOGUE)
    .addCommand(stackCommand())
    .addCommand(migrateCommand())
    .addCommand(workerCommand())
    .addCommand(submitCommand())
    .addCommand(showCommand())
    .addCommand(listCommand())
    .addCommand(retryCommand())
    .addCommand(cancelCommand())
    .addCommand(proveCommand())
    .addCommand(adoptCommand())
    .addCommand(collectCommand())
    .addCommand(epochCommand());
  return eachCommand(program, (command) => {
    // What went wrong is told at one place, in our words and with our exit codes.
    command.exitOverride().configureOutput({ outputError: () => undefined });
  });
}

function eachCommand(program: Command, change: (command: Command) => void): Command {
  change(program);
  for (const command of program.commands) eachCommand(command, change);
  return program;
}

function packageVersion(): string {
  const text = readFileSync(join(__dirname, '..', '..', 'package.json'), 'utf8');
  return (JSON.parse(text) as { version: string }).version;
}

const EPILOGUE = `
Environment:
  DATABASE_URL          the PostgreSQL database, such as postgres://user:password@host:5432/shop
  MONGODB_URI           the MongoDB replica set and database, such as mongodb://host:27017/shop?replicaSet=rs0
  TEMPORAL_ADDRESS, TEMPORAL_NAMESPACE, TEMPORAL_API_KEY, TEMPORAL_TLS_…, TEMPORAL_PROFILE
                        where Temporal is; a file temporal.toml is read as well
  TWINWRITE_TASK_QUEUE  the queue of the pool of workers (default: twinwrite)
  TWINWRITE_WEB_UI      the address of the Temporal Web UI, for links

Exit codes: 0 done, 1 failed, 2 the command line was not understood.

A first try, from nothing:
  $ twinwrite stack up        # starts all three servers, prints export lines to copy
  $ twinwrite migrate         # once for each pair of databases
  $ twinwrite worker          # runs the definitions of twinwrite.config.ts
  $ twinwrite submit placeOrder --file orders.jsonl
  $ twinwrite show placeOrder 0198c1f2-7a51-7000-8000-000000000001`;
