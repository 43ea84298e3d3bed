import type { KeeperMessage } from './background';
import { writeState } from './background';
import type { StackEnvironment } from './environment';
import { StackError } from './errors';
import { startStack } from './index';
import { ownIdentity } from './process-identity';

/**
 * The program that holds the servers of a stack in the background. It is sent its environment,
 * tells how the start goes, and then waits for SIGTERM, which stops the servers and removes their
 * data. If the command that started it ends before all is ready, it stops at once.
 */

/** Far more than any timer's limit would bear; only its existence counts. */
const HEARTBEAT_MILLIS = 3_600_000;

process.once('message', (environment: StackEnvironment) => void keep(environment));

async function keep(environment: StackEnvironment): Promise<void> {
  const abandoned = new AbortController();
  const abandon = (): void => abandoned.abort();
  process.once('disconnect', abandon);
  try {
    const { postgres, mongo, temporal, folder } = await startStack({
      environment,
      signal: abandoned.signal,
      progress: (event) => tell({ kind: 'event', event }),
    });
    const stack = { postgres, mongo, temporal, folder };
    process.off('disconnect', abandon);
    await writeState(environment, { keeper: await ownIdentity(), stack });
    // A started server does not keep a program alive.
    setInterval(() => undefined, HEARTBEAT_MILLIS);
    tell({ kind: 'ready', stack });
  } catch (error) {
    tell(
      error instanceof StackError
        ? { kind: 'failed', failure: error.failure }
        : { kind: 'crashed', reason: String(error) },
    );
    process.exitCode = 1;
    if (process.connected) process.disconnect();
  }
}

function tell(message: KeeperMessage): void {
  // Without a callback, a channel that closes in this moment would throw where nobody catches.
  if (process.connected) process.send?.(message, undefined, undefined, () => undefined);
}
