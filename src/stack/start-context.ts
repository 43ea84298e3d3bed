import type { StackEnvironment } from './environment';
import type { StackEvent } from './events';
import type { RuntimeFolder } from './runtime-folder';

/** Where things are fetched from; another place can be given for a mirror, or for a test. */
export interface StackSources {
  /** Official MongoDB archives. */
  readonly mongoArchives: string;
  /** Official releases of the Temporal CLI. */
  readonly temporalReleases: string;
  /** Undefined means what npm, pip, and go are configured with. */
  readonly npmRegistry?: string;
  readonly pythonIndex?: string;
  readonly goProxy?: string;
}

export const OFFICIAL_SOURCES: StackSources = {
  mongoArchives: 'https://fastdl.mongodb.org',
  temporalReleases: 'https://github.com/temporalio/cli/releases/download',
};

/** What every step of starting a server is given. */
export interface StartContext {
  readonly environment: StackEnvironment;
  readonly sources: StackSources;
  readonly runtime: RuntimeFolder;
  readonly signal: AbortSignal;
  report(event: StackEvent): void;
}
