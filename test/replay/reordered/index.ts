import { proxyActivities } from '@temporalio/workflow';
import type { CrossStoreUpdateRequest, Steps } from '../../../src/domain/update-request';

/** A change of step order, as a careless edit would make it: Mongo before Postgres. */
export async function crossStoreUpdate(request: CrossStoreUpdateRequest): Promise<unknown> {
  const steps = proxyActivities<Steps>({ startToCloseTimeout: '4 s' });
  const claim = {
    ticket: '1',
    form: 'projection',
    undoable: true,
    entities: [],
    documents: [],
    result: null,
  } as const;
  await steps.applyMongo(request, claim);
  return await steps.applyPostgres(request);
}
