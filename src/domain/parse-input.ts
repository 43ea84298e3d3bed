import type { AnyCrossStoreUpdate } from './definition';
import { TwinwriteError } from './errors';
import { findJsonIssues, type JsonIssue } from './json';

/**
 * Lets an input in, or says why not: first what the stores and JSON can carry, then the
 * definition's schema. The client asks before it starts anything, and the worker again before it
 * claims anything (clause 2).
 *
 * @throws TwinwriteError `InvalidInput`
 */
export async function parseInput(
  definition: AnyCrossStoreUpdate,
  input: unknown,
  token?: string,
): Promise<unknown> {
  const jsonIssues = findJsonIssues(input);
  if (jsonIssues.length > 0) throw invalidInput(definition, jsonIssues, token);
  const parsed = await definition.input.safeParseAsync(input);
  if (parsed.success) return parsed.data;
  const issues = parsed.error.issues.map(
    ({ path, message }: { path: readonly PropertyKey[]; message: string }) => ({
      path: pathText(path),
      reason: message,
    }),
  );
  throw invalidInput(definition, issues, token);
}

function invalidInput(
  { name }: AnyCrossStoreUpdate,
  issues: readonly JsonIssue[],
  token: string | undefined,
): TwinwriteError {
  return new TwinwriteError('InvalidInput', {
    definition: name,
    issues,
    ...(token === undefined ? {} : { token }),
  });
}

function pathText(path: readonly PropertyKey[]): string {
  return path.reduce<string>((text, step) => {
    if (typeof step === 'number') return `${text}[${step}]`;
    return text === '' ? String(step) : `${text}.${String(step)}`;
  }, '');
}
