import { randomUUID } from 'node:crypto';
import type { Hooks } from '../support/ledger-definitions';
import { prepareLedger, projectionEntry, transactionEntry } from '../support/ledger-definitions';
import type { World } from '../support/world';

/** The paths that an update's workflow can take, each with the input that takes it. */
export const SCENARIOS = [
  'applied',
  'refused',
  'compensated',
  'cancelled',
  'retried',
  'token-reused',
] as const;

type Scenario = (typeof SCENARIOS)[number];

const POINTS: { readonly [Name in Scenario]: number } = {
  applied: 5,
  refused: 0,
  compensated: 1_000,
  cancelled: 6,
  retried: 7,
  'token-reused': 8,
};

/**
 * Runs every scenario in both forms and answers the workflow ids, each under a name for its file.
 */
export async function runScenarios(
  world: World,
  options: { readonly maxCachedWorkflows?: number } = {},
): Promise<Map<string, string>> {
  await prepareLedger(world, ['entries', 'projected_entries']);
  const hooks: Hooks = {};
  const definitions = [projectionEntry(hooks, 'projected_entries'), transactionEntry(hooks)];
  const workflows = new Map<string, string>();
  const failed = new Set<string>();
  const cancelling: string[] = [];
  for (const definition of definitions) {
    const entry = { id: randomUUID(), account: 'a', points: POINTS.cancelled };
    const handle = await world.twinwrite.submit(definition, entry);
    await handle.cancel();
    cancelling.push(handle.workflowId);
    workflows.set(`${definition.form}-cancelled`, handle.workflowId);
  }
  hooks.postgres = (id) => {
    if (!id.startsWith('retried') || failed.has(id)) return;
    failed.add(id);
    throw new Error('the first attempt fails');
  };
  const worker = await world.startWorker({ updates: definitions, ...options });
  for (const definition of definitions) {
    for (const scenario of SCENARIOS.filter((name) => name !== 'cancelled')) {
      const id = `${scenario}-${randomUUID()}`;
      const input = { id, account: 'a', points: POINTS[scenario] };
      const handle = await world.twinwrite.submit(definition, input);
      await handle.outcome();
      workflows.set(`${definition.form}-${scenario}`, handle.workflowId);
      if (scenario !== 'token-reused') continue;
      const workflowId = `reused/${id}`;
      const reused = { definition: definition.name, token: id, input: { ...input, points: 9 } };
      await world.temporal.workflow
        .execute('crossStoreUpdate', { workflowId, taskQueue: world.name, args: [reused] })
        .catch(() => {});
      workflows.set(`${definition.form}-${scenario}`, workflowId);
    }
  }
  for (const workflowId of cancelling) await world.temporal.workflow.getHandle(workflowId).result();
  await worker.stop();
  return workflows;
}
