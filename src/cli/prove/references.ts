import { existsSync } from 'node:fs';
import { inputInFlight } from '../../domain/input-in-flight';
import type { Json } from '../../domain/json';
import type { DocumentReference } from '../../domain/projection';
import { referencesOf } from '../../domain/update-keys';
import { loadConfig } from '../load-config';

/**
 * The documents that the update projects, by its definition; nothing where the definition or the
 * input is not at hand. A definition may be gone while the ledger still has its updates.
 *
 * @throws UsageError for a config file that cannot be used
 */
export async function findReferences(
  file: string,
  name: string,
  input: Json | undefined,
): Promise<readonly DocumentReference[] | undefined> {
  if (input === undefined || !existsSync(file)) return undefined;
  const { updates } = await loadConfig(file);
  const definition = updates.find((update) => update.name === name);
  if (definition?.form !== 'projection') return undefined;
  return referencesOf(definition, await inputInFlight(definition, input));
}
