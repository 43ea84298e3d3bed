import type { ServerSource } from './events';
import type { GuardedProcess } from './guarded-process';

/** A server that is ready, started by us or given. */
export interface RunningServer {
  readonly url: string;
  readonly webUrl?: string | undefined;
  readonly version: string;
  readonly source: ServerSource;
  /** The program that was started, where it is of use beside the server. */
  readonly program?: string | undefined;
  /** Missing when the server was given: then it is not ours to stop. */
  readonly process?: GuardedProcess | undefined;
}
