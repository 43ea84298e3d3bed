import { homedir } from 'node:os';
import { readStackEnvironment, type StackEnvironment } from './environment';

/** What the environment of this process says of the stack. */
export function processEnvironment(): StackEnvironment {
  return readStackEnvironment(process.env, homedir()); // oxlint-disable-line node/no-process-env -- the stack is set up by the environment, and everything else takes it as a parameter
}
