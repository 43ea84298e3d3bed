import { Command } from 'commander';
import type * as Adopt from '../adopt/adopt';
import { withConfig, withJson } from '../options';

export interface AdoptCommandOptions {
  readonly config: string;
  readonly dryRun?: boolean;
  readonly json?: boolean;
}

export function adoptCommand(): Command {
  const command = new Command('adopt')
    .summary('take over the documents of a collection that was there before')
    .description(
      "Take over the documents of a projection's collection that Twinwrite has not written: each gets\n" +
        "PostgreSQL's image and a version. Running it again is safe at any time, beside workers and beside itself.",
    )
    .argument('<collection>', 'a collection of the projections in the config file')
    .option('--dry-run', 'tell what would be done to each document, and change nothing')
    .addHelpText('after', DETAILS);
  withConfig(command);
  return withJson(command, 'print one JSON document a line and a last one with the summary').action(
    async (collection: string, options: AdoptCommandOptions) => {
      // Loaded when it is needed: help must not wait for the drivers.
      const { adopt } = require('../adopt/adopt') as typeof Adopt;
      await adopt(collection, options);
    },
  );
}

const DETAILS = `
An update never overwrites a document that Twinwrite has not written: it waits (NotAdopted) until the document is
adopted or removed, and then goes on by itself. Start with --dry-run: it names the fields in which a document differs
from PostgreSQL's image, and never what is in them. Of a projection with "owns" only the owned fields count.

Each document ends as one of
  adopted    it has PostgreSQL's image now; the fields that differed are named (in a dry run: adoptable)
  unknown    PostgreSQL has no such document; it is left alone: insert it there, or remove it here
  refused    MongoDB refuses PostgreSQL's image, a validator or a unique index; it is left alone
  overtaken  somebody else adopted or removed it meanwhile

Environment:
  DATABASE_URL, MONGODB_URI

Exit codes: 0 nothing is left alone, 1 something is, or a store does not answer, 2 wrong command line or config file.

Examples:
  $ twinwrite adopt orders --dry-run
  $ twinwrite adopt orders
  $ twinwrite adopt orders --dry-run --json | grep '"unknown"'`;
