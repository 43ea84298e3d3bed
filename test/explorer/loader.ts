import { existsSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join, relative } from 'node:path';
import { transformSync } from '@swc/core';
import { makeFunction } from './make-function';

/** The root of the clone. */
const ROOT = join(__dirname, '..', '..');

/** One seeded mistake's change of a production file. */
export interface Patch {
  /** Below `src`. */
  readonly file: string;
  readonly old: string;
  readonly new: string;
}

/** What a module gets in the place of the platform's own: whatever waits or tells the time. */
export interface Platform {
  readonly setTimeout: (callback: () => void, millis: number) => unknown;
  readonly clearTimeout: (timer: unknown) => void;
  readonly performance: { readonly now: () => number };
  readonly Date: DateConstructor;
  readonly Math: Math;
}

const GLOBALS = ['setTimeout', 'clearTimeout', 'performance', 'Date', 'Math'] as const;

type Evaluate = (...given: unknown[]) => void;

const load = createRequire(__filename);

/**
 * The production code as text, changed by patches or not, compiled once and evaluated any number of
 * times: each evaluation is a process of its own, whose clock and timers are the scheduler's.
 *
 * Nothing is written: a patch changes what is read, never the checkout.
 */
export class Sources {
  readonly #compiled = new Map<string, Evaluate>();
  readonly #patches: readonly Patch[];

  constructor(patches: readonly Patch[] = []) {
    for (const patch of patches) assertFound(patch);
    this.#patches = patches;
  }

  /** Evaluates modules anew, with `replaced` in the place of packages that reach outside. */
  evaluate(
    platform: (file: string) => Platform,
    replaced: Readonly<Record<string, unknown>>,
  ): Modules {
    return new Modules(this, platform, replaced);
  }

  /** @param file its path below `src`. */
  compile(file: string): Evaluate {
    const known = this.#compiled.get(file);
    if (known !== undefined) return known;
    const { code } = transformSync(this.#read(file), {
      filename: file,
      jsc: { target: 'es2022', parser: { syntax: 'typescript' } },
      module: { type: 'commonjs' },
      sourceMaps: false,
    });
    const parameters = ['exports', 'require', 'module', ...GLOBALS];
    const source = `${code}\n//# sourceURL=${join(ROOT, 'src', file)}`;
    const evaluate = makeFunction(parameters, source) as Evaluate;
    this.#compiled.set(file, evaluate);
    return evaluate;
  }

  #read(file: string): string {
    const text = readSource(file);
    return this.#patches
      .filter((patch) => patch.file === file)
      .reduce((changed, patch) => changed.replace(patch.old, () => patch.new), text);
  }
}

function assertFound(patch: Patch): void {
  const occurrences = readSource(patch.file).split(patch.old).length - 1;
  if (occurrences === 1) return;
  throw new Error(
    `src/${patch.file} has the text of a seeded mistake ${occurrences} times, not once: ${patch.old}`,
  );
}

const readSource = (file: string): string => readFileSync(join(ROOT, 'src', file), 'utf8');

export class Modules {
  readonly #loaded = new Map<string, { exports: unknown }>();

  constructor(
    private readonly sources: Sources,
    private readonly platform: (file: string) => Platform,
    private readonly replaced: Readonly<Record<string, unknown>>,
  ) {}

  /** @param file its path below `src`. */
  import(file: string): unknown {
    const known = this.#loaded.get(file);
    if (known !== undefined) return known.exports;
    const module = { exports: {} };
    this.#loaded.set(file, module);
    const platform = this.platform(file);
    const globals = GLOBALS.map((name) => platform[name]);
    const requireFrom = (wanted: string) => this.#require(file, wanted);
    this.sources.compile(file)(module.exports, requireFrom, module, ...globals);
    return module.exports;
  }

  #require(from: string, wanted: string): unknown {
    if (Object.hasOwn(this.replaced, wanted)) return this.replaced[wanted];
    if (!wanted.startsWith('.')) return load(wanted) as unknown;
    const path = join(ROOT, 'src', dirname(from), wanted);
    const file = [`${path}.ts`, join(path, 'index.ts')].find((candidate) => existsSync(candidate));
    if (file === undefined) throw new Error(`src/${from} imports ${wanted}, which is not there`);
    return this.import(relative(join(ROOT, 'src'), file));
  }
}
