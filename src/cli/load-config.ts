import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import { createJiti } from 'jiti';
import { findConfigProblem, type TwinwriteConfig } from '../define-config';
import type { AnyCrossStoreUpdate } from '../domain/definition';
import { isTwinwriteError } from '../domain/errors';
import { UsageError } from './failure';
import { suggest } from './nearest';
import { DEFAULT_CONFIG_FILE } from './options';

/**
 * Loads the application's `twinwrite.config.ts`, in TypeScript or JavaScript, ESM or CommonJS. It
 * runs the application's code, which must define and not act.
 *
 * @throws UsageError when there is no such file, it cannot be loaded, or what it exports is no
 * configuration.
 */
export async function loadConfig(file: string): Promise<TwinwriteConfig> {
  const path = resolve(file);
  if (!existsSync(path)) throw new UsageError(missingSentence(file));
  const loaded = await load(path, file);
  const config = 'default' in loaded ? loaded['default'] : loaded;
  if (!hasUpdates(config)) {
    throw new UsageError(
      `${file} has no configuration as its default export; end it with: export default defineConfig({ updates: [placeOrder] }).`,
    );
  }
  const problem = findConfigProblem(config);
  if (problem !== undefined) throw new UsageError(`${file}: ${problem}`);
  return config as TwinwriteConfig;
}

/** A module of CommonJS has no default export: what it exports is the configuration itself. */
function hasUpdates(config: unknown): boolean {
  return Array.isArray((config as { updates?: unknown } | null | undefined)?.updates);
}

/** @throws UsageError with the nearest name. */
export function findDefinition(
  { updates }: TwinwriteConfig,
  name: string,
  file: string,
): AnyCrossStoreUpdate {
  const found = updates.find((update) => update.name === name);
  if (found !== undefined) return found;
  const choices = updates.map((update) => update.name);
  throw new UsageError(
    `${file} has no definition ${JSON.stringify(name)}. ${suggest(name, choices)}`,
  );
}

async function load(path: string, file: string): Promise<Record<string, unknown>> {
  // Without the interoperability of jiti, which would make up a default export where there is none.
  const jiti = createJiti(__filename, { interopDefault: false });
  try {
    return await jiti.import<Record<string, unknown>>(path);
  } catch (error) {
    if (isTwinwriteError(error))
      throw new UsageError(`${file}: ${error.message}`, { cause: error });
    const trace = error instanceof Error ? (error.stack ?? error.message) : String(error);
    throw new UsageError(
      `${file} could not be loaded; mend what it or its imports throw:\n${trace}`,
      {
        cause: error,
      },
    );
  }
}

function missingSentence(file: string): string {
  const hint =
    file === DEFAULT_CONFIG_FILE
      ? 'make one that says: export default defineConfig({ updates: [placeOrder] }), or name another with --config'
      : 'name the right one with --config';
  return `There is no file ${file} in ${process.cwd()}; ${hint}.`;
}
