import { spawn } from 'node:child_process';
import { accessSync, constants, existsSync } from 'node:fs';
import { mkdir, mkdtemp, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { delimiter, join } from 'node:path';
import { type Browser, chromium } from 'playwright-core';

const ON_PATH = ['chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable'];

/** It talks to nobody but the page that a test opens, and runs as root in a container. */
const ARGUMENTS = [
  '--headless=shell',
  '--no-sandbox',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
  '--disable-dev-shm-usage',
];

/**
 * Opens a browser without a window: Chromium or Chrome of the machine, else the one in the npm
 * package `@sparticuz/chromium` (Linux, x86-64), which is unpacked once into the user's cache
 * folder. The caller closes it.
 */
export async function openBrowser(): Promise<Browser> {
  const installed = findOnPath();
  if (installed !== undefined) {
    return await chromium.launch({ executablePath: installed, args: ARGUMENTS });
  }
  const folder = await unpackedChromium();
  return await chromium.launch({
    executablePath: join(folder, 'chromium'),
    args: ARGUMENTS,
    env: {
      ...process.env,
      // The package brings libraries and a font for machines that have none.
      LD_LIBRARY_PATH: join(folder, 'al2023', 'lib'),
      FONTCONFIG_FILE: join(folder, 'fonts.conf'),
    },
  });
}

function findOnPath(): string | undefined {
  const folders = (process.env['PATH'] ?? '').split(delimiter).filter((folder) => folder !== '');
  return folders.flatMap((folder) => ON_PATH.map((name) => join(folder, name))).find(isExecutable);
}

function isExecutable(file: string): boolean {
  try {
    accessSync(file, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/**
 * The folder appears as a whole, by its rename: a run that was interrupted leaves no half of a
 * browser behind.
 */
async function unpackedChromium(): Promise<string> {
  const version = await versionOfPackage();
  const cache = join(process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache'), 'twinwrite');
  const folder = join(cache, `chromium-${version}`);
  if (existsSync(folder)) return folder;
  await mkdir(cache, { recursive: true });
  const partial = await mkdtemp(join(cache, 'partial-chromium-'));
  try {
    await unpackInto(partial);
    await writeFile(join(partial, 'fonts.conf'), fontsOf(folder));
    await rename(partial, folder);
  } catch (error) {
    await rm(partial, { recursive: true, force: true });
    // Another run was faster.
    if (!existsSync(folder)) throw error;
  }
  return folder;
}

async function versionOfPackage(): Promise<string> {
  // Its exports hide its package.json.
  const manifest = join(require.resolve('@sparticuz/chromium'), '..', '..', '..', 'package.json');
  return (JSON.parse(await readFile(manifest, 'utf8')) as { version: string }).version;
}

/**
 * The package unpacks into the folder for temporary files, and its libraries only where it takes
 * the machine for Amazon's: both are told it by a process of their own.
 */
async function unpackInto(folder: string): Promise<void> {
  const program =
    "import('@sparticuz/chromium').then((chromium) => chromium.default.executablePath())";
  const child = spawn(process.execPath, ['--eval', program], {
    cwd: __dirname,
    stdio: ['ignore', 'ignore', 'inherit'],
    env: { ...process.env, TMPDIR: folder, AWS_LAMBDA_JS_RUNTIME: 'nodejs20.x' },
  });
  const code = await new Promise<number | null>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', resolve);
  });
  if (code !== 0) {
    throw new Error(
      `@sparticuz/chromium could not be unpacked (exit code ${code}); install Chromium or Chrome, and run again`,
    );
  }
}

/**
 * Without a font of its own configuration Chromium looks into Amazon's folders, finds none, and
 * crashes at the first character.
 */
function fontsOf(folder: string): string {
  return `<?xml version="1.0"?>
<!DOCTYPE fontconfig SYSTEM "fonts.dtd">
<fontconfig>
  <dir>${join(folder, 'fonts')}</dir>
  <dir>/usr/share/fonts</dir>
  <cachedir>${join(folder, 'font-cache')}</cachedir>
</fontconfig>
`;
}
