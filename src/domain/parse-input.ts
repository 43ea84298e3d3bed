import type { AnyCrossStoreUpdate } from './definition';
import { TwinwriteError } from './errors';
import { inspectJson, issueAt, type Json, type JsonIssue } from './json';

/**
 * Lets an input in, or says why not, in two steps: first what the stores and JSON can carry, then
 * what the definition's schema makes of it. The client takes both before it starts anything, and
 * the worker again before it claims anything (clause 2).
 *
 * The first step answers the copy that travels, which is also what the schema gets, so that the
 * client judges what the worker will judge.
 *
 * @throws TwinwriteError `InvalidInput`
 */
export function plainInput(definition: AnyCrossStoreUpdate, input: unknown, token?: string): Json {
  const { json, issues } = inspectJson(input);
  if (issues.length > 0) throw invalidInput(definition.name, issues, token);
  return json;
}

/**
 * The second step. Whatever else the schema throws is a bug in it, and no judgement on the input.
 *
 * @throws TwinwriteError `InvalidInput`
 */
export async function parseInput(
  definition: AnyCrossStoreUpdate,
  input: Json,
  token?: string,
): Promise<unknown> {
  const parsed = await definition.input.safeParseAsync(input);
  if (parsed.success) return parsed.data;
  const issues = parsed.error.issues.map(
    ({ path, message }: { path: readonly PropertyKey[]; message: string }) =>
      issueAt(pathText(path), message),
  );
  throw invalidInput(definition.name, issues, token);
}

/** Enough to mend the input by: all of them may be more than an error can carry. */
const MAX_TOLD = 10;

export function invalidInput(
  definition: string,
  issues: readonly JsonIssue[],
  token?: string,
): TwinwriteError<'InvalidInput'> {
  return new TwinwriteError('InvalidInput', {
    definition,
    issues: issues.slice(0, MAX_TOLD),
    ...(token === undefined ? {} : { token }),
  });
}

function pathText(path: readonly PropertyKey[]): string {
  return path.reduce<string>((text, step) => {
    if (typeof step === 'number') return `${text}[${step}]`;
    return text === '' ? String(step) : `${text}.${String(step)}`;
  }, '');
}
