import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { promisify } from 'node:util';

/** Names one process for ever. A process id alone is given to another process sooner or later. */
export interface ProcessIdentity {
  readonly processId: number;
  /** When it was started, in the system's own form; only ever compared. */
  readonly startedAt: string;
}

export async function ownIdentity(): Promise<ProcessIdentity> {
  return { processId: process.pid, startedAt: (await startTimeOf(process.pid)) ?? 'unknown' };
}

/** Whether that very process still runs. */
export async function isAlive(identity: ProcessIdentity): Promise<boolean> {
  return (await startTimeOf(identity.processId)) === identity.startedAt;
}

/**
 * Undefined when there is no such process; one that ended and waits for its parent counts as none.
 */
async function startTimeOf(processId: number): Promise<string | undefined> {
  return process.platform === 'linux' ? fromProc(processId) : fromPs(processId);
}

async function fromProc(processId: number): Promise<string | undefined> {
  try {
    const text = await readFile(`/proc/${processId}/stat`, 'utf8');
    // The second field is the name in parentheses, and may itself hold spaces and parentheses.
    const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
    return fields[0] === 'Z' ? undefined : fields[19];
  } catch {
    return undefined;
  }
}

async function fromPs(processId: number): Promise<string | undefined> {
  try {
    const run = promisify(execFile);
    const { stdout } = await run('/bin/ps', ['-o', 'stat=,lstart=', '-p', String(processId)], {
      env: { LC_ALL: 'C' },
    });
    const [state, ...startedAt] = stdout.trim().split(/\s+/);
    return state === undefined || state.startsWith('Z') ? undefined : startedAt.join(' ');
  } catch {
    return undefined;
  }
}
