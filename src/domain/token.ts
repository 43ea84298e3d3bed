/**
 * The deduplication token: chosen by the caller, unique within its definition, never made of a run
 * id, an attempt, an activity id or a clock.
 *
 * Tokens are compared byte by byte, everywhere. So two spellings of one text that look the same
 * would be two business changes: one of them is refused, and none is changed in silence.
 */
const TOKEN_MAX_CHARACTERS = 200;

/** Says what is wrong with a token, or nothing when it is good. */
export function findTokenProblem(token: unknown): string | undefined {
  if (typeof token !== 'string')
    return `a token is a string, not ${token === null ? 'null' : typeof token}`;
  if (token === '') return 'a token is not empty';
  if (token.length > TOKEN_MAX_CHARACTERS) {
    return `a token has at most ${TOKEN_MAX_CHARACTERS} characters, this one ${token.length}`;
  }
  if (CONTROL_CHARACTERS.test(token) || !token.isWellFormed()) {
    return 'a token has no control characters and no half surrogate pairs';
  }
  if (token !== token.normalize('NFC')) {
    return 'a token is in Unicode normal form C; pass token.normalize("NFC")';
  }
  return undefined;
}

// Control characters would reach log lines, workflow ids and the Web UI's address.
const CONTROL_CHARACTERS = /\p{Cc}/u;

/**
 * A single update's workflow id. A definition's name has no slash, so two pairs never meet in one
 * id.
 */
export function workflowIdOf(definition: string, token: string): string {
  return `${definition}/${token}`;
}
