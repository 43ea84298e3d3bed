import { describeIssues } from '../domain/errors';
import { inspectJson, type Json } from '../domain/json';
import { RefusedError } from './refusal';

/**
 * What `apply` returned, in the form in which every duplicate will get it. The first answer is a
 * copy of what is recorded as well, so that it never differs from a replay (F38). What cannot be
 * recorded is a refusal: the leg is rolled back.
 */
export function recordableResult(returned: unknown): Json {
  const { json, issues } = inspectJson(returned ?? null);
  if (issues.length === 0) return json;
  throw new RefusedError({
    code: 'ResultNotRecordable',
    message: `What apply returned cannot be recorded: ${describeIssues(issues)}`,
  });
}
