/**
 * Goal: one holder at a time, and a dead holder hinders nobody. Method: many takers in this
 * process, and a lock left by a process that is gone.
 */
import { mkdir, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { afterEach, expect, test } from '@jest/globals';
import { acquireLock } from '../../src/stack/process-lock';
import { closeAll, temporaryFolder } from './support';

afterEach(closeAll);

test('of many takers one holds the lock at a time, and the folder is gone in the end', async () => {
  const parent = await temporaryFolder();
  let holders = 0;
  let most = 0;
  const take = async () => {
    const lock = await acquireLock(join(parent, 'lock'), {});
    most = Math.max(most, (holders += 1));
    await setImmediate();
    holders -= 1;
    await lock.release();
  };
  await Promise.all(Array.from({ length: 8 }, take));
  expect(most).toBe(1);
  expect(await readdir(parent)).toEqual([]);
});

test('the lock of a process that is gone is taken over, torn content included', async () => {
  const parent = await temporaryFolder();
  const folder = join(parent, 'lock');
  await mkdir(folder);
  await writeFile(
    join(folder, '1'),
    JSON.stringify({ processId: process.pid, startedAt: 'before' }),
  );
  await writeFile(join(folder, '2'), '{');
  const lock = await acquireLock(folder, {
    onWait: () => {
      throw new Error('There is nobody to wait for');
    },
  });
  await lock.release();
  expect(await readdir(parent)).toEqual([]);
});
