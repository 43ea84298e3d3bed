import { mkdir, mkdtemp, readdir, rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { type ServerName, StackError } from './errors';
import { acquireLock } from './process-lock';
import { codeOf, reasonOf } from './reasons';
import type { StartContext } from './start-context';

/** Something that is fetched or built once for this user, then kept. */
export interface CacheEntry {
  readonly server: ServerName;
  /**
   * Names the version, the platform, and the origin, so that an entry never changes its meaning.
   */
  readonly name: string;
}

/** The entry's folder if it is there. It is there only as a whole, and only verified. */
export async function findInCache(
  context: StartContext,
  entry: CacheEntry,
): Promise<string | undefined> {
  const folder = join(context.environment.cacheFolder, entry.name);
  return (await stat(folder).catch(() => undefined))?.isDirectory() ? folder : undefined;
}

/**
 * Gives the entry's folder, and makes it first if it is not there. `make` fills an empty folder and
 * throws if what it got is not exactly what was asked for. Two processes never make the same entry:
 * the second waits, says so, and takes what the first made.
 */
export async function takeFromCache(
  context: StartContext,
  entry: CacheEntry,
  make: (folder: string) => Promise<void>,
): Promise<string> {
  const found = await findInCache(context, entry);
  if (found !== undefined) return found;
  const cache = context.environment.cacheFolder;
  try {
    await mkdir(cache, { recursive: true });
    const lock = await acquireLock(join(cache, `${entry.name}.lock`), {
      signal: context.signal,
      onWait: (processId) => context.report({ server: entry.server, phase: 'waiting', processId }),
    });
    try {
      return (await findInCache(context, entry)) ?? (await makeEntry(cache, entry, make));
    } finally {
      await lock.release();
    }
  } catch (error) {
    throw asStackError(error, cache);
  }
}

async function makeEntry(
  cache: string,
  entry: CacheEntry,
  make: (folder: string) => Promise<void>,
): Promise<string> {
  const prefix = `partial-${entry.name}-`;
  // Whoever made these is gone: we hold the lock.
  const leftovers = (await readdir(cache)).filter((name) => name.startsWith(prefix));
  await Promise.all(leftovers.map((name) => rm(join(cache, name), { recursive: true })));
  const partial = await mkdtemp(join(cache, prefix));
  try {
    await make(partial);
    const folder = join(cache, entry.name);
    await rename(partial, folder);
    return folder;
  } catch (error) {
    await rm(partial, { recursive: true, force: true });
    throw error;
  }
}

function asStackError(error: unknown, cache: string): unknown {
  const code = codeOf(error);
  if (code === 'ENOSPC' || code === 'EDQUOT') {
    return new StackError({ code: 'DiskFull', folder: cache, log: '' }, { cause: error });
  }
  if (code === 'EACCES' || code === 'EPERM' || code === 'EROFS' || code === 'ENOTDIR') {
    const reason = reasonOf(error);
    return new StackError({ code: 'FolderUnusable', folder: cache, reason }, { cause: error });
  }
  return error;
}
