import type { UpdateHandle } from 'twinwrite';
import { eventually } from '../support/eventually';
import type { World } from '../support/world';
import { stateOf } from './transfers';

/** What tests of parked updates look at, and do to them. */
export function parkingOf(world: () => World) {
  const workflowOf = ({ workflowId }: UpdateHandle) =>
    world().temporal.workflow.getHandle(workflowId);
  return {
    workflowOf,
    /** Answers why. */
    isParked: async (handle: UpdateHandle): Promise<string> =>
      await eventually(
        async () => (await handle.progress()).parked,
        `${handle.definition} ${handle.token} is parked`,
        30_000,
      ),
    holds: async (id: string): Promise<void> => {
      await eventually(
        async () => ((await stateOf(world(), id)) === undefined ? undefined : true),
        `the Postgres leg of ${id} has committed`,
      );
    },
    attributesOf: async (handle: UpdateHandle): Promise<Record<string, unknown>> => {
      const { typedSearchAttributes } = await workflowOf(handle).describe();
      const all = typedSearchAttributes.getAll();
      return Object.fromEntries(all.map(({ key, value }) => [key.name, value]));
    },
    retry: async (handle: UpdateHandle): Promise<void> => {
      await workflowOf(handle).signal('retry');
    },
  };
}
