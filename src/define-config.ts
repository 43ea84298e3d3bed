import type { AnyCrossStoreUpdate } from './domain/definition';
import { TwinwriteError } from './domain/errors';
import { findProjectionsProblem, type Projection } from './domain/projection';

/** What `twinwrite.config.ts` says: the definitions that the commands and their worker know. */
export interface TwinwriteConfig {
  /** Every definition of the application. */
  readonly updates: readonly AnyCrossStoreUpdate[];
  /**
   * The projections that they share. A worker looks at their collections' indexes when it starts,
   * and `twinwrite adopt` finds them here; the updates run without.
   */
  readonly projections?: readonly Projection[];
  /**
   * Where the pool of workers listens. `--task-queue` and `TWINWRITE_TASK_QUEUE` go before it;
   * `twinwrite` unless given.
   */
  readonly taskQueue?: string;
}

/**
 * Checks and types the default export of `twinwrite.config.ts`.
 *
 * @throws TwinwriteError `InvalidConfiguration` with what to change.
 */
export function defineConfig(config: TwinwriteConfig): TwinwriteConfig {
  const problem = findConfigProblem(config);
  if (problem !== undefined) throw new TwinwriteError('InvalidConfiguration', { problem });
  const { updates, projections } = config;
  return Object.freeze({
    ...config,
    updates: Object.freeze([...updates]),
    ...(projections === undefined ? {} : { projections: Object.freeze([...projections]) }),
  });
}

/** Says what is wrong with a configuration, which may come from plain JavaScript. */
export function findConfigProblem(config: unknown): string | undefined {
  if (typeof config !== 'object' || config === null) {
    return 'A configuration is one object: export default defineConfig({ updates: [placeOrder] }).';
  }
  const { updates, taskQueue, projections } = config as Partial<
    Record<keyof TwinwriteConfig, unknown>
  >;
  if (!Array.isArray(updates) || updates.length === 0) {
    return 'A configuration lists at least one definition: defineConfig({ updates: [placeOrder] }).';
  }
  const stranger = updates.findIndex((update) => !isDefinition(update));
  if (stranger !== -1) {
    return `updates[${stranger}] of the configuration is not a definition: make it with defineCrossStoreUpdate.`;
  }
  const names = (updates as AnyCrossStoreUpdate[]).map(({ name }) => name);
  const twice = names.find((name, index) => names.indexOf(name) !== index);
  if (twice !== undefined) {
    return `Two definitions of the configuration are named "${twice}": give each a name of its own.`;
  }
  if (taskQueue !== undefined && (typeof taskQueue !== 'string' || taskQueue === '')) {
    return '`taskQueue` of the configuration is a string that is not empty, or left out.';
  }
  return findProjectionsProblem(projections);
}

/** By its parts and not by its class: the application may have another copy of the package. */
function isDefinition(value: unknown): value is AnyCrossStoreUpdate {
  if (typeof value !== 'object' || value === null) return false;
  const { name, form, token } = value as Partial<Record<keyof AnyCrossStoreUpdate, unknown>>;
  const hasForm = form === 'projection' || form === 'transaction';
  return typeof name === 'string' && hasForm && typeof token === 'function';
}
