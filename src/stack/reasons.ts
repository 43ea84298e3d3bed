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

/** How deep the causes of an error are followed. */
const DEPTH_LIMIT = 8;

/**
 * The code of an error, or of what caused it. By its fields and not by its class: an error of Node
 * that crossed a realm, as under a test runner, is no instance of this realm's `Error`.
 */
export function codeOf(error: unknown, depth = 0): string | undefined {
  if (typeof error !== 'object' || error === null || depth > DEPTH_LIMIT) return undefined;
  const { code, cause, errors } = error as { code?: unknown; cause?: unknown; errors?: unknown };
  if (typeof code === 'string' && code !== '') return code;
  return (
    codeOf(cause, depth + 1) ?? (Array.isArray(errors) ? codeOf(errors[0], depth + 1) : undefined)
  );
}

/** Why something failed, as the middle of a sentence: without a capital, an end, or a new line. */
export function reasonOf(error: unknown): string {
  const code = codeOf(error);
  const known = code === undefined ? undefined : WORDS[code];
  if (known !== undefined) return known;
  const { message, cause } = (error ?? {}) as { message?: unknown; cause?: { message?: unknown } };
  // What `fetch` throws says nothing; its cause does.
  const text = String(cause?.message ?? message ?? error);
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
