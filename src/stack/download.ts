import { createHash } from 'node:crypto';
import { createReadStream, createWriteStream } from 'node:fs';
import { Readable, Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { codeOf, reasonOf } from './reasons';
import { SourceFailure } from './source-failure';

/** A server that does not answer by then is given up, so that the next source is tried soon. */
const ANSWER_LIMIT_MILLIS = 5_000;
/** A download that stands still for so long is given up. */
const STALL_LIMIT_MILLIS = 30_000;

export interface DownloadOptions {
  readonly signal: AbortSignal;
  /** Is told the bytes so far, and of how many if the server says so. */
  readonly onProgress?: ((done: number, total: number | undefined) => void) | undefined;
}

/** Fetches a small text, such as a list of checksums. */
export async function downloadText(url: string, signal: AbortSignal): Promise<string> {
  return withLimit(url, signal, async (limit) => {
    const response = await fetchFrom(url, limit.signal);
    limit.extend(STALL_LIMIT_MILLIS);
    return response.text();
  });
}

/**
 * Fetches a file and fails unless its content has the given SHA-256. Only the answer has a limit of
 * five seconds; the body may take as long as it moves.
 */
export async function downloadFile(
  url: string,
  file: string,
  sha256: string,
  options: DownloadOptions,
): Promise<void> {
  await withLimit(url, options.signal, async (limit) => {
    const response = await fetchFrom(url, limit.signal);
    if (response.body === null) throw new SourceFailure(`${url}: the answer is empty`);
    const length = Number(response.headers.get('content-length'));
    const total = length > 0 ? length : undefined;
    let done = 0;
    const counter = new Transform({
      transform(chunk: Buffer, _encoding, next) {
        limit.extend(STALL_LIMIT_MILLIS);
        done += chunk.length;
        options.onProgress?.(done, total);
        next(null, chunk);
      },
    });
    await pipeline(Readable.fromWeb(response.body), counter, createWriteStream(file));
  });
  const actual = await hashFile(file, 'sha256', 'hex');
  if (actual !== sha256) {
    throw new SourceFailure(
      `${url}: the checksum is wrong (expected ${sha256}, got ${actual}), so it was thrown away`,
    );
  }
}

/** The hash of a file's content. */
export async function hashFile(
  file: string,
  algorithm: 'sha256' | 'sha512',
  encoding: 'hex' | 'base64',
): Promise<string> {
  const hash = createHash(algorithm);
  await pipeline(createReadStream(file), hash);
  return hash.digest(encoding);
}

async function fetchFrom(url: string, signal: AbortSignal): Promise<Response> {
  const response = await fetch(url, { signal });
  if (!response.ok) throw new SourceFailure(`${url}: HTTP ${response.status}`);
  return response;
}

interface Limit {
  readonly signal: AbortSignal;
  extend(millis: number): void;
}

async function withLimit<T>(
  url: string,
  signal: AbortSignal,
  work: (limit: Limit) => Promise<T>,
): Promise<T> {
  const late = new AbortController();
  let timer = setTimeout(() => late.abort(), ANSWER_LIMIT_MILLIS);
  const extend = (millis: number): void => {
    clearTimeout(timer);
    timer = setTimeout(() => late.abort(), millis);
  };
  try {
    return await work({ signal: AbortSignal.any([signal, late.signal]), extend });
  } catch (error) {
    signal.throwIfAborted();
    // A full disk is not the source's fault; the cache knows what to say about it.
    if (error instanceof SourceFailure || codeOf(error) === 'ENOSPC') throw error;
    const reason = late.signal.aborted ? 'no answer in time' : reasonOf(error);
    throw new SourceFailure(`${url}: ${reason}`, { cause: error });
  } finally {
    clearTimeout(timer);
  }
}
