/** One line of a file of JSON lines: the value in it, or why there is none. */
export type JsonLine =
  | { readonly line: number; readonly value: unknown }
  | { readonly line: number; readonly problem: string };

/** Far more than an input may have, and little enough to hold in memory many times. */
export const MAX_LINE_BYTES = 4 * 1024 * 1024;

const NEWLINE = 0x0a;

/**
 * Reads JSON lines one by one, in the memory of one line. A line that is no JSON, no UTF-8 or too
 * long is answered with what is wrong, and the next one is read. Blank lines count and are left
 * out.
 */
export async function* readJsonLines(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<JsonLine> {
  let number = 0;
  for await (const bytes of splitLines(chunks)) {
    number += 1;
    const parsed = parseLine(bytes, number);
    if (parsed !== undefined) yield parsed;
  }
}

/** A line that is too long comes as nothing, and none of it is kept. */
async function* splitLines(
  chunks: AsyncIterable<Uint8Array>,
): AsyncGenerator<Uint8Array | undefined> {
  let parts: Uint8Array[] = [];
  let length = 0;
  const take = (part: Uint8Array): void => {
    length += part.length;
    if (length > MAX_LINE_BYTES) parts = [];
    else parts.push(part);
  };
  const finish = (): Uint8Array | undefined => {
    const line = length > MAX_LINE_BYTES ? undefined : Buffer.concat(parts);
    parts = [];
    length = 0;
    return line;
  };
  for await (const chunk of chunks) {
    let from = 0;
    for (let end = chunk.indexOf(NEWLINE); end !== -1; end = chunk.indexOf(NEWLINE, from)) {
      take(chunk.subarray(from, end));
      yield finish();
      from = end + 1;
    }
    take(chunk.subarray(from));
  }
  if (length > 0) yield finish();
}

function parseLine(bytes: Uint8Array | undefined, line: number): JsonLine | undefined {
  if (bytes === undefined) return { line, problem: `is longer than ${MAX_LINE_BYTES} bytes` };
  let text: string;
  try {
    // The decoder drops a byte order mark, which is only ever at the beginning of a file.
    text = new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    return { line, problem: 'is not UTF-8' };
  }
  if (text.trim() === '') return undefined;
  try {
    return { line, value: JSON.parse(text) as unknown };
  } catch (error) {
    const reason = error instanceof Error ? error.message : 'unreadable';
    return { line, problem: `is not JSON (${reason})` };
  }
}
