/**
 * Makes a function of its text, in the realm of whoever asks: under Jest that is not the one that
 * `node:vm` compiles for, and an error of one realm is no `Error` of the other.
 */
export function makeFunction(parameters: readonly string[], source: string): unknown {
  // oxlint-disable-next-line typescript/no-implied-eval -- the text is the repository's own: its TypeScript, and its SQL compiled.
  return new Function(...parameters, source);
}
