// A lock between processes, for the scripts that run before anything is built. It is the lock of
// src/stack/process-lock.ts, which says how it works, without the start times of processes.
import { randomUUID } from 'node:crypto';
import {
  linkSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmdirSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

/**
 * Runs `work` while no other process holds the lock. Whoever has to wait is told so once, by the
 * holder's process id.
 *
 * @template T
 * @param {string} folder
 * @param {(processId: number) => void} onWait
 * @param {() => Promise<T>} work
 * @returns {Promise<T>}
 */
export async function withLock(folder, onWait, work) {
  const mine = await acquire(folder, onWait);
  try {
    return await work();
  } finally {
    for (const number of numbersIn(folder).filter((other) => other < mine)) {
      rmSync(join(folder, String(number)), { force: true });
    }
    rmSync(join(folder, String(mine)), { force: true });
    try {
      rmdirSync(folder);
    } catch {
      // The next one has entered already, and removes it.
    }
  }
}

/** @param {string} folder @param {(processId: number) => void} onWait */
async function acquire(folder, onWait) {
  let waitedFor = 0;
  for (;;) {
    mkdirSync(folder, { recursive: true });
    const highest = highestIn(folder);
    const holder = highest === 0 ? 0 : readHolder(join(folder, String(highest)));
    if (holder !== 0 && isAlive(holder)) {
      if (holder !== waitedFor) onWait(holder);
      waitedFor = holder;
      await sleep(200);
    } else if (create(folder, highest + 1)) {
      if (highestIn(folder) === highest + 1) return highest + 1;
      rmSync(join(folder, String(highest + 1)), { force: true });
    }
  }
}

/** @param {string} folder */
function numbersIn(folder) {
  return readdirSync(folder)
    .filter((name) => /^\d+$/.test(name))
    .map(Number);
}

/** @param {string} folder */
function highestIn(folder) {
  return Math.max(0, ...numbersIn(folder));
}

/** @param {string} file */
function readHolder(file) {
  try {
    return Number(readFileSync(file, 'utf8'));
  } catch {
    return 0;
  }
}

/** @param {number} processId */
function isAlive(processId) {
  try {
    process.kill(processId, 0);
    return true;
  } catch (error) {
    // EPERM: it lives, as another user.
    return /** @type {NodeJS.ErrnoException} */ (error).code === 'EPERM';
  }
}

/** @param {string} folder @param {number} number */
function create(folder, number) {
  const draft = join(folder, `draft-${randomUUID()}`);
  try {
    writeFileSync(draft, String(process.pid));
    linkSync(draft, join(folder, String(number)));
    return true;
  } catch (error) {
    const { code } = /** @type {NodeJS.ErrnoException} */ (error);
    if (code === 'EEXIST' || code === 'ENOENT') return false;
    throw error;
  } finally {
    rmSync(draft, { force: true });
  }
}
