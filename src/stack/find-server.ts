import { constants } from 'node:fs';
import { access } from 'node:fs/promises';
import { delimiter, join } from 'node:path';
import { type CacheEntry, findInCache, takeFromCache } from './cache';
import { type Attempt, SETTING, type ServerName, StackError } from './errors';
import type { ServerSource } from './events';
import { runProgram } from './run-program';
import { SourceFailure } from './source-failure';
import type { StartContext } from './start-context';

/** A server's program on this machine, which was run once to learn its version. */
export interface FoundServer {
  readonly program: string;
  readonly version: string;
  readonly source: ServerSource;
}

/** A place to fetch a server from. */
export interface FetchedSource {
  /** What was tried, as a person would say it: `the download from …`. */
  readonly title: string;
  readonly source: ServerSource;
  readonly entry: CacheEntry;
  /** Fills the folder with what was fetched, verified; throws `SourceFailure` if it cannot. */
  fetch(folder: string): Promise<void>;
  /** The server's program below the folder. */
  readonly program: string;
}

/** How one kind of server is looked for. */
export interface ServerSearch {
  readonly server: ServerName;
  readonly programName: string;
  /** Folders to look into after those of the PATH. */
  readonly furtherFolders: readonly string[];
  /** The versions that were tested, as a person would say them. */
  readonly tested: string;
  /** The version in what `--version` prints; undefined when it is none. */
  versionIn(output: string): string | undefined;
  isTested(version: string): boolean;
  /** What else must hold of a program on the PATH; the reason if it does not. */
  check?(program: string): Promise<string | undefined>;
  /** In order of preference; empty on a platform that has none. */
  readonly fetched: readonly FetchedSource[];
}

/**
 * Finds a server: installed on this machine at a tested version, else kept in the cache, else
 * fetched from the first source that works. What did not work is reported on the way, and all of it
 * is in the error when nothing does.
 */
export async function findServer(
  context: StartContext,
  search: ServerSearch,
): Promise<FoundServer> {
  context.report({ server: search.server, phase: 'looking' });
  const tried: Attempt[] = [{ source: SETTING[search.server], reason: 'not set' }];
  const installed = await findInstalled(context, search);
  if ('program' in installed) return installed;
  tried.push({ source: `${search.programName} on the PATH`, reason: installed.reason });
  for (const source of search.fetched) {
    const folder = await findInCache(context, source.entry);
    if (folder !== undefined) return found(context, search, source, folder);
  }
  for (const source of search.fetched) {
    try {
      const folder = await takeFromCache(context, source.entry, async (partial) => {
        await source.fetch(partial);
        await found(context, search, source, partial);
      });
      return await found(context, search, source, folder);
    } catch (error) {
      context.signal.throwIfAborted();
      if (!(error instanceof SourceFailure)) throw error;
      const attempt = { source: source.title, reason: error.message };
      tried.push(attempt);
      context.report({ server: search.server, phase: 'skipped', ...attempt });
    }
  }
  throw new StackError({ code: 'ServerMissing', server: search.server, tried });
}

async function findInstalled(
  context: StartContext,
  search: ServerSearch,
): Promise<FoundServer | { reason: string }> {
  const reasons: string[] = [];
  for (const folder of [...context.environment.searchPath, ...search.furtherFolders]) {
    const program = join(folder, search.programName);
    if (!(await isExecutable(program))) continue;
    const version = await versionOf(context, search, program);
    if (version === undefined) {
      reasons.push(`${program} does not run`);
    } else if (!search.isTested(version)) {
      reasons.push(`${program} is version ${version}, and ${search.tested} is needed`);
    } else {
      const problem = await search.check?.(program);
      if (problem === undefined) return { program, version, source: 'installed' };
      reasons.push(problem);
    }
  }
  return { reason: reasons.length === 0 ? 'not found' : [...new Set(reasons)].join(', ') };
}

async function found(
  context: StartContext,
  search: ServerSearch,
  source: FetchedSource,
  folder: string,
): Promise<FoundServer> {
  const program = join(folder, source.program);
  const version = await versionOf(context, search, program);
  if (version === undefined) {
    throw new SourceFailure('what was fetched does not run on this system');
  }
  return { program, version, source: source.source };
}

async function versionOf(
  context: StartContext,
  search: ServerSearch,
  program: string,
): Promise<string | undefined> {
  const { exitCode, output } = await runProgram(program, ['--version'], {
    env: childEnvironment(context),
    signal: context.signal,
  });
  return exitCode === 0 ? search.versionIn(output) : undefined;
}

async function isExecutable(file: string): Promise<boolean> {
  return access(file, constants.X_OK).then(
    () => true,
    () => false,
  );
}

/** For the programs that we run. */
export function childEnvironment(context: StartContext): NodeJS.ProcessEnv {
  const { inherited, searchPath } = context.environment;
  return { ...inherited, PATH: searchPath.join(delimiter) };
}
