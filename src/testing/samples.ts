import type { AnyCrossStoreUpdate } from '../domain/definition';
import { TwinwriteError } from '../domain/errors';
import type { Json } from '../domain/json';
import { parseInput, plainInput } from '../domain/parse-input';
import { findTokenProblem } from '../domain/token';
import { keysOf, type UpdateKeys } from '../domain/update-keys';

/** One input that a definition is checked with. */
export interface Sample {
  /** As the options name it: `inputs[0]`. */
  readonly name: string;
  /** As it travels. */
  readonly input: Json;
  readonly expected: 'applied' | 'refused';
}

/** One as the options give it: it may be anything. */
export interface GivenSample extends Omit<Sample, 'input'> {
  readonly given: unknown;
}

/** What tells an update from every other. */
export interface Identity extends UpdateKeys {
  readonly token: string;
}

/**
 * What a client would submit an input as, asked of the definition anew.
 *
 * @throws TwinwriteError `InvalidInput`, `InvalidDefinition`
 */
export async function identityOf(
  definition: AnyCrossStoreUpdate,
  input: unknown,
): Promise<Identity> {
  const parsed = await parseInput(definition, plainInput(definition, input));
  return identityOfParsed(definition, parsed);
}

export function identityOfParsed(definition: AnyCrossStoreUpdate, parsed: unknown): Identity {
  const token: unknown = definition.token(parsed);
  const problem = findTokenProblem(token);
  if (problem !== undefined) {
    throw new TwinwriteError('InvalidDefinition', { definition: definition.name, problem });
  }
  return { token: String(token), ...keysOf(definition, parsed) };
}
