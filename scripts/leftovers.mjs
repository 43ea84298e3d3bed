// What a run left behind: servers that still run, folders that still exist.
import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

/** A process that was told to end, and does, may need a moment. */
const LIMIT_MILLIS = 5_000;

/**
 * Describes every process that mentions the folder in its command line, every process whose parent
 * is this one, and every runtime folder of a stack in it. Waits a moment for what is just ending.
 *
 * @param {string} temporary
 */
export async function findLeftovers(temporary) {
  const deadline = Date.now() + LIMIT_MILLIS;
  for (;;) {
    const leftovers = [...processesOf(temporary), ...foldersIn(temporary)];
    if (leftovers.length === 0 || Date.now() > deadline) return leftovers;
    await sleep(50);
  }
}

/** @param {string} temporary */
function foldersIn(temporary) {
  return readdirSync(temporary)
    .filter((name) => name.startsWith('twinwrite-stack-'))
    .map((name) => `the folder ${join(temporary, name)}`);
}

/** @param {string} temporary */
function processesOf(temporary) {
  return listProcesses()
    .filter(({ id }) => id !== process.pid)
    .filter(({ parent, command }) => parent === process.pid || command.includes(temporary))
    .map(({ id, command }) => `the process ${id}: ${command.slice(0, 120)}`);
}

function listProcesses() {
  if (process.platform === 'linux') return listFromProc();
  const text = execFileSync('/bin/ps', ['-axo', 'pid=,ppid=,command='], { encoding: 'utf8' });
  return (
    text
      .trim()
      .split('\n')
      .map((line) => line.trim().split(/\s+/))
      .map(([id, parent, ...command]) => ({
        id: Number(id),
        parent: Number(parent),
        command: command.join(' '),
      }))
      // The one that lists them.
      .filter(({ command }) => !command.startsWith('/bin/ps'))
  );
}

/** Without ps, which slim images do not have. */
function listFromProc() {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .flatMap((id) => {
      try {
        const status = readFileSync(`/proc/${id}/stat`, 'utf8');
        const [state, parent] = status.slice(status.lastIndexOf(')') + 2).split(' ');
        if (state === 'Z') return [];
        const command = readFileSync(`/proc/${id}/cmdline`, 'utf8').replaceAll('\0', ' ').trim();
        return [{ id: Number(id), parent: Number(parent), command }];
      } catch {
        // It ended while we looked.
        return [];
      }
    });
}
