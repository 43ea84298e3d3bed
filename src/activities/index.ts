import { activityInfo } from '@temporalio/activity';
import { workflowIdOf } from '../domain/token';
import type { CrossStoreUpdateRequest, Steps } from '../domain/update-request';
import { type ActivityDependencies, type Attempt, createAttempts } from './attempts';

export type { ActivityDependencies, LegObserver } from './attempts';

/** The protocol's steps as activities: Temporal says whose attempt it is, and which. */
export function createActivities(dependencies: ActivityDependencies): Steps {
  const attempts = createAttempts(dependencies);
  const names = Object.keys(attempts) as (keyof Steps)[];
  const activityOf = (name: keyof Steps) => {
    const attempt = attempts[name] as (by: Attempt, ...parameters: unknown[]) => Promise<unknown>;
    return async (request: CrossStoreUpdateRequest, ...rest: unknown[]) =>
      await attempt(attemptOf(request), request, ...rest);
  };
  return Object.fromEntries(names.map((name) => [name, activityOf(name)])) as unknown as Steps;
}

function attemptOf({ definition, token }: CrossStoreUpdateRequest): Attempt {
  const { attempt, workflowExecution, startToCloseTimeoutMs } = activityInfo();
  return {
    number: attempt,
    workflow: workflowExecution?.workflowId ?? workflowIdOf(definition, token),
    timeoutMillis: startToCloseTimeoutMs,
  };
}
