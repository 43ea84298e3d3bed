import { type Client, isGrpcServiceError } from '@temporalio/client';
import { throwAsTwinwriteError } from '../client/temporal-errors';
import { TwinwriteError } from '../domain/errors';
import { workflowIdOf } from '../domain/token';

/** Temporal removes what its retention has ended for a while after, and clocks differ. */
const MARGIN_MILLIS = 24 * 3_600_000;

const NOT_FOUND = 5;

/** How many questions to Temporal are under way at once. */
const CONCURRENCY = 16;

/**
 * The age from which on Temporal can have forgotten an update: its namespace's retention, and a
 * day.
 *
 * @throws TwinwriteError `Unavailable`; `InvalidConfiguration` when the namespace has no retention.
 */
export async function readForgottenAfterMillis(client: Client): Promise<number> {
  const { namespace } = client.options;
  const { config } = await client.connection.workflowService
    .describeNamespace({ namespace })
    .catch(throwAsTwinwriteError({}));
  const seconds = Number(config?.workflowExecutionRetentionTtl?.seconds ?? 0);
  if (seconds > 0) return seconds * 1_000 + MARGIN_MILLIS;
  throw new TwinwriteError('InvalidConfiguration', {
    problem: `Temporal does not say how long the namespace "${namespace}" retains workflows; set its retention (temporal operator namespace update --retention 30d) and try again.`,
  });
}

interface Name {
  readonly definition: string;
  readonly token: string;
}

/**
 * Those of the updates whose workflow Temporal still knows, open or closed: whatever is known may
 * run again, by a reset or by a worker that comes back.
 *
 * @throws TwinwriteError `Unavailable` rather than guess.
 */
export async function findRetained<Update extends Name>(
  client: Client,
  updates: readonly Update[],
): Promise<ReadonlySet<Update>> {
  const retained = new Set<Update>();
  const next = updates[Symbol.iterator]();
  const work = async (): Promise<void> => {
    for (const update of next) {
      if (await isRetained(client, update)) retained.add(update);
    }
  };
  await Promise.all(Array.from({ length: Math.min(CONCURRENCY, updates.length) }, work));
  // In a namespace that is gone nothing is found either: only while it is there does that mean
  // something.
  await readForgottenAfterMillis(client);
  return retained;
}

async function isRetained(client: Client, { definition, token }: Name): Promise<boolean> {
  const { namespace } = client.options;
  try {
    // Not through a handle, which decodes the memo: a codec that this process lacks would fail it.
    await client.connection.workflowService.describeWorkflowExecution({
      namespace,
      execution: { workflowId: workflowIdOf(definition, token) },
    });
    return true;
  } catch (error) {
    const code: number | undefined = isGrpcServiceError(error) ? error.code : undefined;
    if (code === NOT_FOUND) return false;
    return throwAsTwinwriteError({})(error);
  }
}
