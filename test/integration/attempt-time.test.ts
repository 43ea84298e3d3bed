/**
 * Goal: the stores end an attempt before Temporal gives up on it, whichever build had the time of
 * the leg (clause 8). Method: a workflow that was started with less time than the definition has
 * today; the leg tells what the server allows it.
 */
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { defineCrossStoreUpdate, defineProjection } from 'twinwrite';
import { z } from 'zod';
import { openWorld, type World } from '../support/world';

const items = defineProjection({ collection: 'items', image: async () => [] });

const definition = defineCrossStoreUpdate({
  name: 'attemptTime',
  input: z.strictObject({ id: z.string() }),
  token: ({ id }) => id,
  legTimeoutMillis: 60_000,
  postgres: {
    apply: async ({ client }) => {
      const { rows } = await client.query<{ timeout: string }>(
        `select current_setting('statement_timeout') as timeout`,
      );
      return { timeout: rows[0]?.timeout ?? '' };
    },
  },
  mongo: { project: ({ id }) => [items.document(id)] },
});

let world: World;

beforeAll(async () => {
  world = await openWorld();
});

afterAll(async () => {
  await world.close();
});

test('clause 8: an attempt has the time that its workflow was started with', async () => {
  const worker = await world.startWorker({ updates: [definition] });
  const token = randomUUID();
  const request = { definition: definition.name, token, input: { id: token } };
  const outcome: unknown = await world.temporal.workflow.execute('crossStoreUpdate', {
    workflowId: `attemptTime/${token}`,
    taskQueue: world.name,
    args: [{ ...request, legTimeoutMillis: 2_000 }],
  });
  await worker.stop();
  expect(outcome).toEqual({ status: 'applied', result: { timeout: '1260ms' } });
});
