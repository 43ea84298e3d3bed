import { open, readFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { type ServerName, StackError } from './errors';
import { childEnvironment } from './find-server';
import { type GuardedProcess, type RunAs, startGuarded } from './guarded-process';
import { freePorts, isPortTaken } from './ports';
import { tailOf } from './reasons';
import { isDiskFull } from './source-failure';
import type { StartContext } from './start-context';

const POLL_MILLIS = 40;
/** Long for a slow machine. */
const READY_LIMIT_MILLIS = 30_000;
/**
 * One failed start says little: the machine may be slow, and whoever had the port for a moment (an
 * outgoing connection, say) may be gone when we look.
 */
const FAILED_ATTEMPTS = 2;
/** A stranger on the port, or a server that is just ending, may keep a client waiting for ever. */
const PROBE_LIMIT_MILLIS = 5_000;
/** Another program may take a port between our look and the server's; so often is no accident. */
const PORT_ATTEMPTS = 5;

/** How one server is started. */
export interface ServerPlan {
  readonly server: ServerName;
  readonly program: string;
  /** How many ports it listens on; `args` and `probe` are given that many. */
  readonly portCount: number;
  args(ports: readonly number[]): readonly string[];
  /** Succeeds once the server does what it is started for; until then it throws. */
  probe(ports: readonly number[]): Promise<void>;
  readonly runAs?: RunAs | undefined;
  readonly stopSignal: 'INT' | 'TERM';
  readonly graceMillis: number;
  readonly logFile: string;
}

export interface StartedServer {
  readonly ports: readonly number[];
  readonly process: GuardedProcess;
}

/** Starts a server and waits until it is ready. When this throws, the server no longer runs. */
export async function startServer(context: StartContext, plan: ServerPlan): Promise<StartedServer> {
  let ports: number[] = [];
  for (let attempt = 1; attempt <= PORT_ATTEMPTS; attempt += 1) {
    context.signal.throwIfAborted();
    ports = await freePorts(plan.portCount);
    const process = await launch(context, plan, ports);
    const failure = await failureUntilReady(context, plan, ports, process);
    if (failure === undefined) {
      process.letGo();
      return { ports, process };
    }
    await process.stop();
    context.signal.throwIfAborted();
    const isOver = attempt >= FAILED_ATTEMPTS && !(await anyTaken(ports));
    if (isOver) throw await explain(context, plan, failure);
  }
  throw new StackError({ code: 'PortTaken', server: plan.server, port: ports[0] ?? 0 });
}

async function launch(
  context: StartContext,
  plan: ServerPlan,
  ports: readonly number[],
): Promise<GuardedProcess> {
  const log = await open(plan.logFile, 'a');
  try {
    return await startGuarded({
      program: plan.program,
      args: plan.args(ports),
      env: childEnvironment(context),
      folder: context.runtime.path,
      runAs: plan.runAs,
      stopSignal: plan.stopSignal,
      graceMillis: plan.graceMillis,
      output: log.fd,
      holder: context.runtime.holder,
    });
  } finally {
    await log.close();
  }
}

/** Why the server is not ready, or undefined once it is. */
async function failureUntilReady(
  context: StartContext,
  plan: ServerPlan,
  ports: readonly number[],
  process: GuardedProcess,
): Promise<string | undefined> {
  const deadline = Date.now() + READY_LIMIT_MILLIS;
  while (!context.signal.aborted) {
    try {
      await withinLimit(plan.probe(ports));
      // Without this, a stranger on the port could have answered for a server that is gone.
      if (!process.hasEnded()) return undefined;
    } catch {
      // Not ready yet; the log says why if it never is.
    }
    if (process.hasEnded()) return `it ended with code ${await process.ended}`;
    if (Date.now() > deadline) return `it was not ready after ${READY_LIMIT_MILLIS / 1000} s`;
    await sleep(POLL_MILLIS);
  }
  return 'interrupted';
}

async function withinLimit(probe: Promise<void>): Promise<void> {
  const answered = new AbortController();
  const late = sleep(PROBE_LIMIT_MILLIS, undefined, { signal: answered.signal }).then(() => {
    throw new Error('the probe was not answered');
  });
  try {
    await Promise.race([probe, late]);
  } finally {
    answered.abort();
    // The one that lost the race must not fail where nobody listens.
    void Promise.allSettled([probe, late]);
  }
}

async function anyTaken(ports: readonly number[]): Promise<boolean> {
  return (await Promise.all(ports.map(isPortTaken))).includes(true);
}

async function explain(
  context: StartContext,
  plan: ServerPlan,
  reason: string,
): Promise<StackError> {
  const log = tailOf(await readFile(plan.logFile, 'utf8').catch(() => ''));
  const folder = context.runtime.path;
  if (await isDiskFull(folder, log)) return new StackError({ code: 'DiskFull', folder, log });
  const { server, program } = plan;
  return new StackError({ code: 'StartFailed', server, program, reason, log });
}
