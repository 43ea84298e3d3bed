import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { downloadFile, downloadText } from './download';
import { childEnvironment, type FetchedSource, type ServerSearch } from './find-server';
import { runProgram } from './run-program';
import { requireSuccess, SourceFailure } from './source-failure';
import type { StartContext } from './start-context';

const CLI_VERSION = '1.5.1';

/** Later tags do not install this way: their go.mod replaces a module. */
const GO_MODULE = `github.com/temporalio/cli/cmd/temporal@v${CLI_VERSION}`;

/** What `go install -v` compiles with an empty cache, for a bar; a warm cache makes it fewer. */
const GO_PACKAGES = 1_456;

/** How Temporal is looked for: the PATH, the official release of its CLI, then a build of it. */
export function temporalSearch(context: StartContext): ServerSearch {
  return {
    server: 'temporal',
    programName: 'temporal',
    furtherFolders: [],
    tested: 'a CLI with Temporal Server 1.29',
    // A CLI that was built from a tag calls itself 0.0.0-DEV; the server inside is what counts.
    versionIn: (output) => /Server (\d+\.\d+\.\d+)/.exec(output)?.[1],
    isTested: (version) => version.startsWith('1.29.'),
    fetched: [...releaseSources(context), ...buildSources(context)],
  };
}

function releaseSources(context: StartContext): FetchedSource[] {
  const processor = { x64: 'amd64', arm64: 'arm64' }[process.arch as string];
  if (processor === undefined || !['linux', 'darwin'].includes(process.platform)) return [];
  const archive = `temporal_cli_${CLI_VERSION}_${process.platform}_${processor}.tar.gz`;
  return [
    {
      title: 'the official download',
      source: 'downloaded',
      entry: {
        server: 'temporal',
        name: `temporal-cli-${CLI_VERSION}-${process.platform}-${processor}`,
      },
      program: 'temporal',
      fetch: (folder) => fetchRelease(context, archive, folder),
    },
  ];
}

async function fetchRelease(context: StartContext, archive: string, folder: string): Promise<void> {
  const release = `${context.sources.temporalReleases}/v${CLI_VERSION}`;
  const checksums = await downloadText(`${release}/checksums.txt`, context.signal);
  const line = checksums.split('\n').find((candidate) => candidate.trim().endsWith(` ${archive}`));
  const checksum = line?.trim().split(/\s+/)[0];
  if (checksum === undefined) {
    throw new SourceFailure(`${release}/checksums.txt does not name ${archive}`);
  }
  const file = join(folder, archive);
  await downloadFile(`${release}/${archive}`, file, checksum, {
    signal: context.signal,
    onProgress: (done, total) =>
      context.report({
        server: 'temporal',
        phase: 'downloading',
        source: `${release}/${archive}`,
        done,
        ...(total === undefined ? {} : { total }),
      }),
  });
  const { env, signal } = { env: childEnvironment(context), signal: context.signal };
  const unpacked = await runProgram('tar', ['-xzf', file, '-C', folder, 'temporal'], {
    env,
    signal,
  });
  await requireSuccess(unpacked, 'tar', folder);
  await rm(file);
}

function buildSources(context: StartContext): FetchedSource[] {
  return [
    {
      title: `go install ${GO_MODULE}`,
      source: 'built',
      entry: {
        server: 'temporal',
        name: `temporal-cli-${CLI_VERSION}-${process.platform}-${process.arch}-built`,
      },
      program: 'temporal',
      fetch: (folder) => build(context, folder),
    },
  ];
}

/** Takes four to five minutes on two cores, so every package counts as progress. */
async function build(context: StartContext, folder: string): Promise<void> {
  let done = 0;
  const report = (): void =>
    context.report({
      server: 'temporal',
      phase: 'building',
      source: GO_MODULE,
      done: Math.min(done, GO_PACKAGES),
      total: GO_PACKAGES,
    });
  report();
  const proxy = context.sources.goProxy;
  const env = {
    ...childEnvironment(context),
    GOBIN: folder,
    // A user's flags, target, or workspace would build something else, or nothing.
    GOFLAGS: '',
    GOOS: '',
    GOARCH: '',
    GOWORK: 'off',
    // The official releases are built so; it needs no C compiler and runs on any libc.
    CGO_ENABLED: '0',
    ...(proxy === undefined ? {} : { GOPROXY: proxy }),
  };
  const result = await runProgram('go', ['install', '-v', GO_MODULE], {
    env,
    folder,
    signal: context.signal,
    onLine: (line) => {
      // The other lines say what is downloaded before.
      if (line.startsWith('go: ')) return;
      done += 1;
      report();
    },
  });
  await requireSuccess(result, 'go install', folder, (output) =>
    output
      .split('\n')
      .toReversed()
      .find((line) => /^go: (?!downloading|finding)|error/i.test(line)),
  );
}
