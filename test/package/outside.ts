import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { environmentForNpm, printed } from './run-program';

export const ROOT = join(__dirname, '..', '..');

interface Manifest {
  readonly peerDependencies: Record<string, string>;
  readonly devDependencies: Record<string, string>;
}

/** What `npm pack` makes of this checkout, in a folder of its own. */
export interface Tarball {
  readonly path: string;
  /** The paths in it, without the leading `package/`. */
  readonly files: readonly string[];
  remove(): Promise<void>;
}

export async function packTarball(): Promise<Tarball> {
  const folder = await mkdtemp(join(tmpdir(), 'twinwrite-tarball-'));
  const told = await printed('npm', ['pack', '--json', '--pack-destination', folder], {
    cwd: ROOT,
    env: environmentForNpm(),
  });
  const [packed] = JSON.parse(told) as [{ filename: string; files: { path: string }[] }];
  return {
    path: join(folder, packed.filename),
    files: packed.files.map(({ path }) => path),
    remove: () => rm(folder, { recursive: true, force: true }),
  };
}

/**
 * A project outside the repository, as a user has it: `npm install` from the registry, the tarball
 * among it. The versions are those of our own lockfile, which npm has in its cache; no install
 * script runs, because none is needed. The applications in its folders share its node_modules.
 */
export async function installOutside(tarball: Tarball): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'twinwrite-outside-'));
  await cp(join(__dirname, 'outside'), folder, { recursive: true });
  const manifest = JSON.parse(await readFile(join(ROOT, 'package.json'), 'utf8')) as Manifest;
  const names = [...Object.keys(manifest.peerDependencies), 'jest', '@types/node'];
  const versions = names.map((name) => [name, manifest.devDependencies[name] ?? '*']);
  const dependencies = { twinwrite: `file:${tarball.path}`, ...Object.fromEntries(versions) };
  const project = { name: 'outside', private: true, dependencies };
  await writeFile(join(folder, 'package.json'), JSON.stringify(project, undefined, 2));
  const flags = ['--prefer-offline', '--ignore-scripts', '--no-audit', '--no-fund'];
  await printed('npm', ['install', ...flags], {
    cwd: folder,
    env: environmentForNpm(),
    timeoutMillis: 300_000,
  });
  return folder;
}
