import { MAX_LEG_TIMEOUT_MILLIS, MIN_LEG_TIMEOUT_MILLIS } from './bounds';
import { isDefinitionName } from './definition-name';
import type { TwinwriteError } from './errors';
import { findExpectedProblem } from './expectation';
import { byteLengthOf, issueAt, JSON_LIMITS, type Json, type JsonIssue } from './json';
import { invalidInput } from './parse-input';
import { findTokenProblem } from './token';
import type { CrossStoreUpdateRequest } from './update-request';

/** What a workflow was started with, once it is known to be one of ours, or why it is not. */
export type CheckedRequest =
  | { readonly request: CrossStoreUpdateRequest }
  | { readonly refusal: TwinwriteError<'InvalidInput'> };

/**
 * Looks at what a workflow was started with, before the workflow does anything with it. Whoever may
 * start workflows may start ours with anything; an error of workflow code fails the workflow's task
 * instead of the workflow, again and again.
 *
 * It refuses only what a workflow cannot work with: a part of the wrong type, and an input that
 * cannot be handed on to an activity as it is (too deep to be encoded, too large to be sent, or
 * with a number that JSON turns into another). Whether the input is a good one is for the activity
 * to say, which asks the ledger first (clause 2). What a later client may add is left out.
 *
 * Pure, and the same at every replay.
 */
export function checkRequest(given: unknown): CheckedRequest {
  const parts: Readonly<Record<string, unknown>> = isObject(given) ? given : {};
  const issues = isObject(given)
    ? findIssues(parts)
    : [issueAt('', 'is no request; start it through the Twinwrite client')];
  const { definition, token, input, legTimeoutMillis, entities, searchAttributes, expect } =
    parts as unknown as CrossStoreUpdateRequest;
  if (issues.length > 0) {
    const name = isDefinitionName(definition) ? definition : 'crossStoreUpdate';
    return { refusal: invalidInput(name, issues, tokenOf(token)) };
  }
  return {
    request: {
      definition,
      token,
      input,
      ...(legTimeoutMillis === undefined ? {} : { legTimeoutMillis }),
      ...(entities === undefined ? {} : { entities }),
      ...(searchAttributes === undefined ? {} : { searchAttributes }),
      ...(expect === undefined ? {} : { expect }),
    },
  };
}

function findIssues(parts: Readonly<Record<string, unknown>>): JsonIssue[] {
  const { definition, token, input, legTimeoutMillis, entities, searchAttributes, expect } = parts;
  const isList = Array.isArray(entities) && entities.every((key) => typeof key === 'string');
  const problems: readonly (readonly [string, string | undefined])[] = [
    ['definition', isDefinitionName(definition) ? undefined : 'is no name of a definition'],
    ['token', findTokenProblem(token)],
    ['input', findTravelProblem(input)],
    ['legTimeoutMillis', findTimeoutProblem(legTimeoutMillis)],
    ['entities', entities === undefined || isList ? undefined : 'is no list of strings'],
    [
      'searchAttributes',
      ['undefined', 'boolean'].includes(typeof searchAttributes) ? undefined : 'is no boolean',
    ],
    ['expect', findExpectedProblem(expect)],
  ];
  return problems.flatMap(([path, problem]) =>
    problem === undefined ? [] : [issueAt(path, problem)],
  );
}

function findTravelProblem(input: unknown): string | undefined {
  if (input === undefined) return 'is missing';
  const problem = findEncodingProblem(input, JSON_LIMITS.maxDepth);
  if (problem !== undefined) return problem;
  // Numbers are longer as JavaScript writes them than as somebody else may: 1e20 has 21 digits.
  const bytes = byteLengthOf(input as Json);
  return bytes > JSON_LIMITS.maxBytes
    ? `is ${bytes} bytes as JSON, more than the ${JSON_LIMITS.maxBytes} bytes allowed`
    : undefined;
}

/** What was decoded is encoded again for the activity. Never deeper itself than the levels. */
function findEncodingProblem(value: unknown, levels: number): string | undefined {
  if (typeof value === 'number') {
    const isKept = Number.isFinite(value) && !Object.is(value, -0);
    return isKept ? undefined : `has the number ${Object.is(value, -0) ? '-0' : value}`;
  }
  if (typeof value !== 'object' || value === null) return undefined;
  if (levels === 0) return `lies deeper than ${JSON_LIMITS.maxDepth} levels`;
  for (const item of Object.values(value)) {
    const problem = findEncodingProblem(item, levels - 1);
    if (problem !== undefined) return problem;
  }
  return undefined;
}

function findTimeoutProblem(millis: unknown): string | undefined {
  const isGood =
    typeof millis === 'number' &&
    millis >= MIN_LEG_TIMEOUT_MILLIS &&
    millis <= MAX_LEG_TIMEOUT_MILLIS;
  if (millis === undefined || isGood) return undefined;
  return `lies between ${MIN_LEG_TIMEOUT_MILLIS} and ${MAX_LEG_TIMEOUT_MILLIS}`;
}

function tokenOf(token: unknown): string | undefined {
  return findTokenProblem(token) === undefined ? (token as string) : undefined;
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
