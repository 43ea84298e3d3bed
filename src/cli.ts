#!/usr/bin/env node
import { reportFailure } from './cli/failure';
import { endQuietlyWithoutReader } from './cli/output';
import { createProgram } from './cli/program';

/** The one boundary: whatever a command throws becomes a sentence and an exit code. */
async function main(): Promise<void> {
  endQuietlyWithoutReader();
  const isJson = process.argv.includes('--json');
  try {
    await createProgram().parseAsync();
  } catch (error) {
    // Everything that was opened is closed by now, but Temporal's native runtime would keep the
    // process.
    process.exit(reportFailure(error, isJson));
  }
}

void main();
