/**
 * Goal: workflows that began under an earlier build finish under this one (clause 10). Method:
 * every recorded history is replayed by the workflows of today; each path of the protocol has one.
 * A careless change of step order is shown to fail.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from '@jest/globals';
import {
  bundleWorkflowCode,
  DefaultLogger,
  makeTelemetryFilterString,
  Runtime,
  Worker,
} from '@temporalio/worker';
import { DeterminismViolationError } from '@temporalio/workflow';
import { LONGER_NAMES } from './longer-scenarios';
import { SCENARIOS } from './scenarios';

const logger = new DefaultLogger('ERROR');

Runtime.install({
  logger: new DefaultLogger('ERROR', () => {}),
  telemetryOptions: {
    logging: { filter: makeTelemetryFilterString({ core: 'ERROR', other: 'ERROR' }), forward: {} },
  },
});

const HISTORIES = join(__dirname, 'histories');
const names = readdirSync(HISTORIES).filter((name) => name.endsWith('.json'));

describe('recorded histories', () => {
  let bundle: { code: string };
  let reordered: { code: string };
  let impatient: { code: string };

  beforeAll(async () => {
    bundle = await bundleWorkflowCode({
      workflowsPath: join(__dirname, '../../src/workflows'),
      logger,
    });
    reordered = await bundleWorkflowCode({ workflowsPath: join(__dirname, 'reordered'), logger });
    impatient = await bundleWorkflowCode({
      workflowsPath: join(__dirname, 'fixtures', 'impatient'),
      logger,
    });
  });

  const replay = (workflowBundle: { code: string }, name: string) => {
    const history: unknown = JSON.parse(readFileSync(join(HISTORIES, name), 'utf8'));
    return Worker.runReplayHistory({ workflowBundle }, history);
  };

  test('each path of the protocol has one, in both forms', () => {
    const expected = ['projection', 'transaction'].flatMap((form) =>
      SCENARIOS.map((scenario) => `${form}-${scenario}.json`),
    );
    const longer = LONGER_NAMES.map((name) => `${name}.json`);
    expect(names).toEqual(expect.arrayContaining([...expected, ...longer]));
  });

  test.each(names)('%s replays', async (name) => {
    await replay(bundle, name);
  });

  test('a change of step order fails', async () => {
    await expect(replay(reordered, 'projection-applied.json')).rejects.toBeInstanceOf(
      DeterminismViolationError,
    );
  });

  test('a change of how it waits for its turn fails', async () => {
    await expect(replay(impatient, 'projection-waited.json')).rejects.toBeInstanceOf(
      DeterminismViolationError,
    );
  });
});
