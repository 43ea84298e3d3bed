import { randomInt } from 'node:crypto';
import { createServer } from 'node:net';

/** Every server of the stack listens here, and nowhere else. */
export const LOOPBACK = '127.0.0.1';

/**
 * Below the ports that Linux (from 32768) and macOS (from 49152) give to outgoing connections: any
 * client on the machine could otherwise be given the port between our look and the server's.
 */
const FIRST_PORT = 15_000;
const LAST_PORT = 32_000;

/**
 * Gives ports that are free now, all different. Another program may take one before the server
 * binds it: whoever starts a server asks `isPortTaken` when that fails, and starts it again.
 */
export async function freePorts(count: number): Promise<number[]> {
  const held: Held[] = [];
  while (held.length < count) {
    // All are held at the same time, or the same one could be found twice.
    const one = await hold(randomInt(FIRST_PORT, LAST_PORT)).catch(() => undefined);
    if (one !== undefined) held.push(one);
  }
  await Promise.all(held.map((one) => one.release()));
  return held.map(({ port }) => port);
}

/** Whether somebody listens on the port: asked of the system, never read from a server's log. */
export async function isPortTaken(port: number): Promise<boolean> {
  try {
    await (await hold(port)).release();
    return false;
  } catch {
    return true;
  }
}

interface Held {
  readonly port: number;
  release: () => Promise<void>;
}

function hold(port: number): Promise<Held> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    const release = (): Promise<void> => new Promise((done) => server.close(() => done()));
    server.listen({ host: LOOPBACK, port, exclusive: true }, () => resolve({ port, release }));
  });
}
