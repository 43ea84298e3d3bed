import type { AnyCrossStoreUpdate } from '../domain/definition';
import { isTwinwriteError, type TwinwriteError } from '../domain/errors';
import { type Expectation, type ExpectedVersions, expectedVersionsOf } from '../domain/expectation';
import type { Json } from '../domain/json';
import { invalidInput, parseInput, plainInput } from '../domain/parse-input';
import { findTokenProblem } from '../domain/token';
import { keysOf } from '../domain/update-keys';

/** An update that may be started, or that was started before its definition changed. */
export interface Admission {
  /** The copy that travels: what the caller does to its own object afterwards changes nothing. */
  readonly input: Json;
  readonly token: string;
  readonly entities: readonly string[];
  /** What the caller has read of the documents, if it says so. */
  readonly expect?: ExpectedVersions;
  /**
   * The schema of this build refuses the input. An earlier one may have let it in: only an update
   * that is known by its token is for the caller to have (clause 2).
   */
  readonly refusal?: TwinwriteError<'InvalidInput'>;
}

/**
 * Judges an update before anything is started, as the worker will judge it: what JSON and the
 * stores can carry, the schema, the token, what it is about.
 *
 * @throws TwinwriteError `InvalidInput`; whatever a callback of the definition throws
 */
export async function admit(
  definition: AnyCrossStoreUpdate,
  given: unknown,
  givenToken: string | undefined,
  expect?: Expectation | readonly Expectation[],
): Promise<Admission> {
  const input = plainInput(definition, given, givenToken);
  try {
    const parsed = await parseInput(definition, input, givenToken);
    const token: unknown = givenToken ?? definition.token(parsed);
    const problem = findTokenProblem(token);
    if (problem !== undefined) {
      throw invalidInput(definition.name, [{ path: 'token', reason: problem }]);
    }
    const { entities, documents } = keysOf(definition, parsed);
    return {
      input,
      token: token as string,
      entities,
      ...(expect === undefined
        ? {}
        : { expect: expectedVersionsOf(definition, documents, expect) }),
    };
  } catch (error) {
    if (!isTwinwriteError(error, 'InvalidInput')) throw error;
    const token = givenToken ?? guessToken(definition, input);
    if (token === undefined || findTokenProblem(token) !== undefined) throw error;
    return { input, token, entities: [], refusal: error };
  }
}

/** The token of an input that was never parsed: a wrong guess only finds no such update. */
function guessToken(definition: AnyCrossStoreUpdate, input: Json): string | undefined {
  try {
    const token: unknown = definition.token(input);
    return typeof token === 'string' ? token : undefined;
  } catch {
    return undefined;
  }
}
