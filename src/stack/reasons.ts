/** Short reasons, for the middle of a sentence, from the errors of Node. They go by code. */

const WORDS: Readonly<Record<string, string>> = {
  ENOTFOUND: 'its name cannot be resolved',
  EAI_AGAIN: 'its name cannot be resolved',
  ECONNREFUSED: 'the connection is refused',
  ECONNRESET: 'the connection was cut',
  ENETUNREACH: 'the network is unreachable',
  EHOSTUNREACH: 'the host is unreachable',
  ETIMEDOUT: 'no answer in time',
  UND_ERR_CONNECT_TIMEOUT: 'no answer in time',
  UND_ERR_SOCKET: 'the connection was cut',
  EACCES: 'permission denied',
  EPERM: 'not permitted',
  EROFS: 'read-only file system',
  ENOENT: 'not found',
  ENOTDIR: 'not a folder',
  ENOSPC: 'the disk is full',
  EDQUOT: 'the disk quota is used up',
};

/** The code of an error, or of what caused it, at any depth. */
export function codeOf(error: unknown): string | undefined {
  for (let at = error, depth = 0; at instanceof Error && depth < 8; at = at.cause, depth += 1) {
    if ('code' in at && typeof at.code === 'string') return at.code;
    if (at instanceof AggregateError && at.errors.length > 0) return codeOf(at.errors[0]);
  }
  return undefined;
}

/** Why something failed, as the middle of a sentence: without a capital, an end, or a new line. */
export function reasonOf(error: unknown): string {
  const code = codeOf(error);
  const known = code === undefined ? undefined : WORDS[code];
  if (known !== undefined) return known;
  const text = error instanceof Error ? error.message : String(error);
  return firstLine(text).replace(/\.$/, '');
}

/** The first line that says something, at most 200 characters of it. */
export function firstLine(text: string): string {
  const line = text.split('\n').find((candidate) => candidate.trim() !== '') ?? '';
  return line.trim().slice(0, 200);
}

/** The last lines of an output, for an error's field. */
export function tailOf(text: string, lines = 20): string {
  return text.trimEnd().split('\n').slice(-lines).join('\n');
}

/** A connection string without its password. */
export function withoutPassword(address: string): string {
  return address
    .replace(/(\/\/[^:/@]*):[^@]*@/, '$1:***@')
    .replace(/password=[^&]*/g, 'password=***');
}
