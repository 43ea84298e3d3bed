import type { AnyCrossStoreUpdate } from '../domain/definition';
import { TwinwriteError } from '../domain/errors';

/** Checks what only the whole set can show. */
export function assertDefinitions(updates: readonly AnyCrossStoreUpdate[]): void {
  if (!Array.isArray(updates) || updates.length === 0) {
    throw new TwinwriteError('InvalidConfiguration', {
      problem:
        'createWorker needs at least one definition: createWorker({ updates: [placeOrder], … }).',
    });
  }
  const seen = new Set<string>();
  for (const { name, form } of updates) {
    if (form === undefined) {
      throw new TwinwriteError('InvalidDefinition', {
        definition: String(name),
        problem: 'make it with defineCrossStoreUpdate.',
      });
    }
    if (seen.has(name)) {
      throw new TwinwriteError('InvalidDefinition', {
        definition: name,
        problem: 'two definitions of this worker have this name; give each its own.',
      });
    }
    seen.add(name);
  }
}
