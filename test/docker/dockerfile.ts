import { readFileSync } from 'node:fs';
import { mkdir, readdir, stat } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { environmentForNpm, printed } from '../package/run-program';

interface Instruction {
  readonly keyword: string;
  readonly text: string;
}

interface Stage {
  readonly base: string;
  readonly name: string | undefined;
  readonly instructions: readonly Instruction[];
}

export interface Dockerfile {
  readonly stages: readonly Stage[];
  /** The last stage's CMD, in its exec form. */
  readonly command: readonly string[];
}

export function readDockerfile(path: string): Dockerfile {
  const stages: { base: string; name: string | undefined; instructions: Instruction[] }[] = [];
  const lines = readFileSync(path, 'utf8').replaceAll('\\\n', ' ').split('\n');
  for (const line of lines) {
    const [, keyword = '', text = ''] = /^([A-Z]+)\s+(.+)$/.exec(line.trim()) ?? [];
    if (keyword === 'FROM') {
      const [base = '', , name] = text.split(/\s+/);
      stages.push({ base, name, instructions: [] });
    } else if (keyword !== '') {
      stages.at(-1)?.instructions.push({ keyword, text });
    }
  }
  const last = stages.at(-1)?.instructions ?? [];
  const command = last.find(({ keyword }) => keyword === 'CMD')?.text ?? '[]';
  return { stages, command: JSON.parse(command) as string[] };
}

/** What came out of the last stage: its folder stands for the root of the image. */
export interface BuiltImage {
  readonly root: string;
  readonly workingDirectory: string;
  readonly environment: Readonly<Record<string, string>>;
}

/**
 * Carries out what the Dockerfile says, in order, as a build would, with each stage's file system
 * in a folder of its own and the programs of this machine. Nothing is there that no instruction
 * brought: the folders are empty, and of the context only what .dockerignore lets in is there.
 */
export async function carryOut(
  { stages }: Dockerfile,
  context: string,
  folder: string,
): Promise<BuiltImage> {
  const roots = new Map<string, string>();
  let image: BuiltImage | undefined;
  for (const [index, stage] of stages.entries()) {
    const root = join(folder, String(index));
    await mkdir(root);
    if (stage.name !== undefined) roots.set(stage.name, root);
    image = await carryOutStage(stage, { context, root, roots });
  }
  if (image === undefined) throw new Error('The Dockerfile has no stage.');
  return image;
}

interface Place {
  readonly context: string;
  readonly root: string;
  readonly roots: ReadonlyMap<string, string>;
}

async function carryOutStage({ instructions }: Stage, place: Place): Promise<BuiltImage> {
  const environment: Record<string, string> = {};
  let workingDirectory = place.root;
  for (const { keyword, text } of instructions) {
    if (keyword === 'WORKDIR') {
      workingDirectory = join(place.root, text);
      await mkdir(workingDirectory, { recursive: true });
    } else if (keyword === 'ENV') {
      const [name = '', value = ''] = text.split('=');
      environment[name] = value;
    } else if (keyword === 'COPY') {
      await copy(text.split(/\s+/), place, workingDirectory);
    } else if (keyword === 'RUN') {
      const env = { ...environmentForNpm(), ...environment };
      const options = { cwd: workingDirectory, env, timeoutMillis: 300_000 };
      await printed('/bin/sh', ['-c', text], options);
    } else if (!['USER', 'EXPOSE', 'CMD'].includes(keyword)) {
      throw new Error(`The test does not know how to carry out ${keyword}.`);
    }
  }
  return { root: place.root, workingDirectory, environment };
}

async function copy(words: string[], place: Place, workingDirectory: string): Promise<void> {
  const from = /^--from=(.+)$/.exec(words[0] ?? '')?.[1];
  const [target = '', ...sources] = (from === undefined ? words : words.slice(1)).toReversed();
  const root = from === undefined ? place.context : place.roots.get(from);
  if (root === undefined) throw new Error(`The Dockerfile has no stage ${from}.`);
  for (const source of sources) {
    if (from === undefined) assertInContext(source, place.context);
    const path = join(root, source);
    const isFolder = (await stat(path)).isDirectory();
    // A folder's content is copied, not the folder. Links instead of copies: a stage never writes
    // what another one made.
    const paths = isFolder
      ? [`${path}/.`, join(workingDirectory, target)]
      : [path, join(workingDirectory, target, basename(source))];
    if (isFolder) await mkdir(join(workingDirectory, target), { recursive: true });
    const flags = from === undefined ? '-a' : '-al';
    await printed('cp', [flags, ...paths], { cwd: workingDirectory });
  }
}

/** The .dockerignore leaves everything out, and then lets some names in again. */
function assertInContext(source: string, context: string): void {
  const lines = readFileSync(join(context, '.dockerignore'), 'utf8').split('\n');
  if (!lines.includes('*'))
    throw new Error('The test knows only a .dockerignore that begins with *.');
  const [first = ''] = source.split('/');
  if (!lines.includes(`!${first}`)) throw new Error(`.dockerignore leaves out ${source}.`);
}

/** The names in a folder of the image. */
export async function namesIn({ workingDirectory }: BuiltImage, path: string): Promise<string[]> {
  return await readdir(join(workingDirectory, path));
}
