import { describeIssues } from '../domain/errors';
import { findJsonIssues, type Json } from '../domain/json';
import { RefusedError } from './refusal';

/**
 * What `apply` returned, in the form in which every duplicate will get it. The first answer is
 * decoded from the record as well, so that it never differs from a replay (F38). What cannot be
 * recorded is a refusal: the leg is rolled back.
 */
export function recordableResult(returned: unknown): Json {
  const result = returned ?? null;
  const issues = findJsonIssues(result);
  if (issues.length > 0) {
    throw new RefusedError({
      code: 'ResultNotRecordable',
      message: `What apply returned cannot be recorded: ${describeIssues(issues)}`,
    });
  }
  return JSON.parse(JSON.stringify(result)) as Json;
}
