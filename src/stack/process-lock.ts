import { randomUUID } from 'node:crypto';
import { link, mkdir, readdir, readFile, rm, rmdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { isAlive, ownIdentity, type ProcessIdentity } from './process-identity';
import { codeOf } from './reasons';

const POLL_MILLIS = 200;

export interface ProcessLock {
  release(): Promise<void>;
}

export interface LockOptions {
  /** Is told once for each other holder that is waited for. */
  readonly onWait?: ((processId: number) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** So often is no race: the place itself cannot be made. */
const MAX_VANISHED = 100;

/**
 * Takes a lock between processes of this machine, and waits for it as long as its holder lives. A
 * holder that died is recognised by process id and start time, and its lock is taken over.
 *
 * The lock is a folder of numbered files, each naming a holder; the highest number counts. To take
 * over means to create the next number, which only one process can: removing a dead holder's file
 * instead would race with a third process that has just replaced it.
 */
export async function acquireLock(folder: string, options: LockOptions): Promise<ProcessLock> {
  const self = await ownIdentity();
  let waitedFor: number | undefined;
  let vanished = 0;
  for (;;) {
    options.signal?.throwIfAborted();
    await mkdir(folder, { recursive: true }).catch((error: unknown) => {
      // Its last holder removed the folder while `mkdir` looked at it: `create` finds out.
      if (codeOf(error) !== 'ENOENT' || (vanished += 1) > MAX_VANISHED) throw error;
    });
    const highest = await highestNumber(folder);
    const holder = highest === 0 ? undefined : await readHolder(join(folder, String(highest)));
    if (holder !== undefined && (await isAlive(holder))) {
      if (holder.processId !== waitedFor) options.onWait?.(holder.processId);
      waitedFor = holder.processId;
      await sleep(POLL_MILLIS, undefined, options.signal ? { signal: options.signal } : {});
      continue;
    }
    const mine = highest + 1;
    if (!(await create(folder, mine, self))) continue;
    // Files below a holder's own are removed only by that holder, so a slow process may have
    // created a number that is already history: the highest decides.
    if ((await highestNumber(folder)) === mine) return { release: () => release(folder, mine) };
    await rm(join(folder, String(mine)), { force: true });
  }
}

async function highestNumber(folder: string): Promise<number> {
  const names = await readdir(folder).catch(() => []);
  return Math.max(0, ...names.filter((name) => /^\d+$/.test(name)).map(Number));
}

async function readHolder(file: string): Promise<ProcessIdentity | undefined> {
  try {
    return JSON.parse(await readFile(file, 'utf8')) as ProcessIdentity;
  } catch {
    // Released just now, or torn by a full disk: in both cases nobody holds it.
    return undefined;
  }
}

/** A hard link appears with its whole content, and fails when the name is there already. */
async function create(folder: string, number: number, holder: ProcessIdentity): Promise<boolean> {
  const draft = join(folder, `draft-${randomUUID()}`);
  try {
    await writeFile(draft, JSON.stringify(holder));
    await link(draft, join(folder, String(number)));
    return true;
  } catch (error) {
    // ENOENT: its last holder removed the folder between our `mkdir` and now.
    if (codeOf(error) === 'EEXIST' || codeOf(error) === 'ENOENT') return false;
    throw error;
  } finally {
    await rm(draft, { force: true });
  }
}

async function release(folder: string, mine: number): Promise<void> {
  const names = await readdir(folder).catch(() => []);
  const passed = names.filter((name) => /^\d+$/.test(name) && Number(name) < mine);
  await Promise.all(passed.map((name) => rm(join(folder, name), { force: true })));
  await rm(join(folder, String(mine)), { force: true });
  // Fails when the next one has entered already, who then removes it.
  await rmdir(folder).catch(() => undefined);
}
