import type { AnyCrossStoreUpdate } from './definition';
import { TwinwriteError } from './errors';
import { issueAt } from './json';
import { invalidInput } from './parse-input';
import { type DocumentReference, entityKeyOf } from './projection';

const MAX_KEYS = 200;
const MAX_KEY_CHARACTERS = 600;

/** What an update is about: what the claim locks, in the order in which everybody locks it. */
export interface UpdateKeys {
  readonly entities: readonly string[];
  readonly documents: readonly string[];
}

/**
 * Asks a definition what an update is about. Keys are taken as they are, byte by byte, as both
 * stores compare them: which spellings mean one thing is the definition's to say.
 *
 * A key that cannot be one is the input's fault, since the definition made it of that, and so it is
 * found before anything is started or claimed.
 *
 * @throws TwinwriteError `InvalidInput`; `InvalidDefinition` when it answers no strings at all
 */
export function keysOf(definition: AnyCrossStoreUpdate, parsed: unknown): UpdateKeys {
  const { entities } = definition;
  const documents = referencesOf(definition, parsed).map(entityKeyOf);
  return {
    // One that answers nothing, as plain JavaScript may, would silently hold nothing.
    entities: checkKeys(definition, 'entities', entities === undefined ? [] : entities(parsed)),
    documents: checkKeys(definition, 'documents', documents),
  };
}

export function referencesOf(
  definition: AnyCrossStoreUpdate,
  parsed: unknown,
): readonly DocumentReference[] {
  return definition.mongo.project?.(parsed) ?? [];
}

/** One order for everybody, so that two updates never wait for each other's entities (F44). */
function checkKeys(
  { name }: AnyCrossStoreUpdate,
  what: keyof UpdateKeys,
  keys: readonly unknown[],
): readonly string[] {
  if (!isListOfStrings(keys)) {
    const problem = `its ${what} are a list of strings.`;
    throw new TwinwriteError('InvalidDefinition', { definition: name, problem });
  }
  const unique = [...new Set(keys)].sort();
  const reason =
    unique.length > MAX_KEYS
      ? `are ${unique.length}, more than the ${MAX_KEYS} allowed`
      : unique.map(findKeyProblem).find((problem) => problem !== undefined);
  if (reason === undefined) return unique;
  throw invalidInput(name, [issueAt(what, reason)]);
}

function findKeyProblem(key: string): string | undefined {
  if (key === '') return 'one is empty';
  if (key.length > MAX_KEY_CHARACTERS) {
    return `one has ${key.length} characters, more than the ${MAX_KEY_CHARACTERS} allowed`;
  }
  const isText = key.isWellFormed() && !key.includes('\u0000');
  return isText ? undefined : 'one has a character that PostgreSQL cannot hold';
}

function isListOfStrings(keys: unknown): keys is readonly string[] {
  return Array.isArray(keys) && keys.every((key) => typeof key === 'string');
}
