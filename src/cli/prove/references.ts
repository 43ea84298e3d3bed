import { existsSync } from 'node:fs';
import { inputInFlight } from '../../domain/input-in-flight';
import type { Json } from '../../domain/json';
import type { DocumentReference } from '../../domain/projection';
import { referencesOf } from '../../domain/update-keys';
import { findDefinition, loadConfig } from '../load-config';

/**
 * The documents that the update projects, by its definition; nothing where the definition or the
 * input is not at hand.
 *
 * @throws UsageError for a config file that cannot be used, or does not have the definition
 */
export async function findReferences(
  file: string,
  name: string,
  input: Json | undefined,
): Promise<readonly DocumentReference[] | undefined> {
  if (input === undefined || !existsSync(file)) return undefined;
  const definition = findDefinition(await loadConfig(file), name, file);
  if (definition.form !== 'projection') return undefined;
  return referencesOf(definition, await inputInFlight(definition, input));
}
