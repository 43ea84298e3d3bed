/**
 * What can go wrong while the real servers are set up, as data: a closed union of codes with
 * fields. The sentence is made in one place, and always says what to do.
 */

/** The three servers that a stack consists of. */
export type ServerName = 'postgres' | 'mongo' | 'temporal';

/** One source of a server that was tried, and why it did not give one. */
export interface Attempt {
  readonly source: string;
  readonly reason: string;
}

/** Every way in which setting up the servers can fail. */
export type StackFailure =
  | {
      readonly code: 'ServerMissing';
      readonly server: ServerName;
      readonly tried: readonly Attempt[];
    }
  | { readonly code: 'InvalidSetting'; readonly variable: string; readonly reason: string }
  | {
      readonly code: 'Unreachable';
      readonly server: ServerName;
      readonly address: string;
      readonly reason: string;
    }
  | {
      readonly code: 'WrongCredentials';
      readonly server: ServerName;
      readonly address: string;
      readonly reason: string;
    }
  | { readonly code: 'NotReplicaSet'; readonly address: string }
  | {
      readonly code: 'UnsupportedVersion';
      readonly server: ServerName;
      readonly address: string;
      readonly version: string;
      readonly tested: string;
    }
  | { readonly code: 'DiskFull'; readonly folder: string; readonly log: string }
  | { readonly code: 'PortTaken'; readonly server: ServerName; readonly port: number }
  | {
      readonly code: 'StartFailed';
      readonly server: ServerName;
      readonly program: string;
      readonly reason: string;
      readonly log: string;
    }
  | { readonly code: 'FolderUnusable'; readonly folder: string; readonly reason: string }
  | { readonly code: 'UnsupportedPlatform'; readonly platform: string }
  | { readonly code: 'NoUnprivilegedUser' }
  | { readonly code: 'Aborted' };

export type StackErrorCode = StackFailure['code'];

/**
 * Says why the servers could not be set up. When it is thrown, nothing that was started for the
 * stack is left running. The message is one sentence; `failure` has the fields of its code, among
 * them the last lines of a server's log where there is one.
 */
export class StackError extends Error {
  readonly code: StackErrorCode;
  readonly failure: StackFailure;

  constructor(failure: StackFailure, options?: ErrorOptions) {
    super(sentence(failure), options);
    this.name = 'StackError';
    this.code = failure.code;
    this.failure = failure;
  }
}

/** The environment variable that names a server which is already there. */
export const SETTING: Readonly<Record<ServerName, string>> = {
  postgres: 'TWINWRITE_STACK_POSTGRES_URL',
  mongo: 'TWINWRITE_STACK_MONGODB_URI',
  temporal: 'TWINWRITE_STACK_TEMPORAL_ADDRESS',
};

/** What a person calls the server. */
export const TITLE: Readonly<Record<ServerName, string>> = {
  postgres: 'PostgreSQL',
  mongo: 'MongoDB',
  temporal: 'Temporal',
};

/** What to install when no source of a server works; the versions are those that were tested. */
const INSTALL: Readonly<Record<ServerName, string>> = {
  postgres: 'install PostgreSQL 14 to 18',
  mongo: 'install MongoDB 6.0 to 8.x',
  temporal: 'install the Temporal CLI 1.5 (or Go 1.24, which builds it)',
};

/** The message, and below it the end of the server's log where there is one: for a terminal. */
export function describeStackError(error: StackError): string {
  const log = 'log' in error.failure ? error.failure.log.trimEnd() : '';
  return log === '' ? error.message : `${error.message}\n${log.replace(/^/gm, '    ')}`;
}

function sentence(failure: StackFailure): string {
  switch (failure.code) {
    case 'ServerMissing':
      return missingSentence(failure.server, failure.tried);
    case 'InvalidSetting':
      return `${failure.variable} cannot be used: ${failure.reason}; correct it or unset it.`;
    case 'Unreachable':
      return `${TITLE[failure.server]} at ${failure.address} cannot be reached (${failure.reason}); start it, or correct or unset ${SETTING[failure.server]}.`;
    case 'WrongCredentials':
      return `${TITLE[failure.server]} at ${failure.address} refuses the credentials (${failure.reason}); correct the user and password in ${SETTING[failure.server]}.`;
    case 'NotReplicaSet':
      return `MongoDB at ${failure.address} is a standalone server, which has no transactions; start it with --replSet and initiate the set, or unset ${SETTING.mongo}.`;
    case 'UnsupportedVersion':
      return `${TITLE[failure.server]} at ${failure.address} is version ${failure.version}, and ${failure.tested} is needed; point ${SETTING[failure.server]} at such a server or unset it.`;
    case 'DiskFull':
      return `The disk that holds ${failure.folder} is full; free some space (1 GB, or 4 GB when Temporal has to be built), or set TMPDIR and XDG_CACHE_HOME to folders on another disk.`;
    case 'PortTaken':
      return `Port ${failure.port} for ${TITLE[failure.server]} was taken by another program, several times in a row; free some ports and try again.`;
    case 'StartFailed':
      return `${TITLE[failure.server]} did not start (${failure.program}: ${failure.reason}); its log says why, and ${SETTING[failure.server]} can name a server of your own instead.`;
    case 'FolderUnusable':
      return `The folder ${failure.folder} cannot be used (${failure.reason}); make it writable, or set TMPDIR and XDG_CACHE_HOME to folders that are.`;
    case 'UnsupportedPlatform':
      return `The servers cannot be started on ${failure.platform}; use Linux or macOS, or name running servers with ${Object.values(SETTING).join(', ')}.`;
    case 'NoUnprivilegedUser':
      return `PostgreSQL refuses to run as root and there is neither a user postgres nor a user nobody; run this as another user, or set ${SETTING.postgres}.`;
    case 'Aborted':
      return 'Starting the servers was interrupted; nothing was left running, run the command again.';
  }
}

function missingSentence(server: ServerName, tried: readonly Attempt[]): string {
  const attempts = tried.map(({ source, reason }) => `${source}: ${reason}`).join('; ');
  return `No ${TITLE[server]} could be found or fetched (${attempts}); connect to a network that reaches one of these, ${INSTALL[server]}, or set ${SETTING[server]}.`;
}
