/**
 * Goal: a stack in the background is one stack, whoever asks for it, and goes without a trace.
 * Method: `up`, `status` and `down` as the command calls them, with a state folder of the test's
 * own that shares what was fetched.
 */
import { readdir, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, expect, test } from '@jest/globals';
import { stackDown, stackStatus, stackUp } from '../../src/stack/background';
import type { StackEnvironment } from '../../src/stack/environment';
import { ownIdentity } from '../../src/stack/process-identity';
import {
  closeAll,
  failureOf,
  HERE,
  isThere,
  processesNaming,
  temporaryFolder,
  until,
} from './support';

afterEach(closeAll);

async function ownEnvironment(): Promise<StackEnvironment> {
  const cacheFolder = await temporaryFolder();
  for (const name of await readdir(HERE.cacheFolder).catch(() => [])) {
    if (/^(postgres|mongodb|temporal)-.*[^k]$/.test(name)) {
      await symlink(join(HERE.cacheFolder, name), join(cacheFolder, name));
    }
  }
  return { ...HERE, cacheFolder };
}

test('two that bring it up at once share one stack, which goes down without a trace', async () => {
  const environment = await ownEnvironment();
  expect(await stackStatus({ environment })).toEqual({ isUp: false, servers: [] });
  const both = await Promise.all([stackUp({ environment }), stackUp({ environment })]);
  const [first] = both;
  try {
    expect(both.filter(({ wasUp }) => wasUp)).toHaveLength(1);
    expect(both[1].stack).toEqual(first.stack);
    const status = await stackStatus({ environment });
    expect(status.servers.map(({ answers }) => answers)).toEqual([true, true, true]);
    expect(status.servers[2]?.webUrl).toBe(first.stack.temporal.webUrl);
  } finally {
    expect(await stackDown({ environment })).toEqual({ wasUp: true, folder: first.stack.folder });
  }
  expect(isThere(first.stack.folder)).toBe(false);
  await until('no process is left', async () => {
    return (await processesNaming(first.stack.folder)).length === 0;
  });
  expect(await stackDown({ environment })).toEqual({ wasUp: false });
});

test('a process that was given the id of a keeper that is gone is not ended', async () => {
  const environment = await ownEnvironment();
  const { processId } = await ownIdentity();
  const state = { keeper: { processId, startedAt: 'another time' }, stack: {} };
  await writeFile(join(environment.cacheFolder, 'background.json'), JSON.stringify(state));
  // This very process would be ended if the id alone counted.
  expect(await stackDown({ environment })).toEqual({ wasUp: false });
});

test('a failed start says why, and nothing is up', async () => {
  const environment = { ...(await ownEnvironment()), mongoUri: 'mongodb://127.0.0.1:5/' };
  expect((await failureOf(stackUp({ environment }))).code).toBe('Unreachable');
  expect((await stackStatus({ environment })).isUp).toBe(false);
});
