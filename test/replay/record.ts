// Records the histories that every test run replays: npm test -- --testMatch
// '**/test/replay/record.ts' Run it when a workflow path is added. A history that exists stays:
// workflows that began under it are still to be finished by later builds.
import { existsSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { historyToJSON } from '@temporalio/common/lib/proto-utils';
import { openWorld, type World } from '../support/world';
import { runScenarios, SCENARIOS } from './scenarios';

let world: World;

beforeAll(async () => {
  world = await openWorld();
});

afterAll(async () => {
  await world.close();
});

test('the histories are recorded', async () => {
  const workflows = await runScenarios(world);
  for (const [name, workflowId] of workflows) {
    const file = join(__dirname, 'histories', `${name}.json`);
    if (existsSync(file)) continue;
    const history = await world.temporal.workflow.getHandle(workflowId).fetchHistory();
    await writeFile(
      file,
      `${JSON.stringify(JSON.parse(historyToJSON(history), anonymous), null, 1)}\n`,
    );
  }
  expect(workflows.size).toBe(2 * SCENARIOS.length);
});

/** Replay reads neither, and both name the machine of whoever recorded. */
function anonymous(key: string, value: unknown): unknown {
  if (key === 'identity') return 'recorder';
  return key === 'stackTrace' ? '' : value;
}
