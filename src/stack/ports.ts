import { createServer } from 'node:net';

/** Every server of the stack listens here, and nowhere else. */
export const LOOPBACK = '127.0.0.1';

/**
 * Gives ports that are free now, all different. Another program may take one before the server
 * binds it: whoever starts a server asks `isPortTaken` when that fails, and starts it again.
 */
export async function freePorts(count: number): Promise<number[]> {
  // All are held at the same time, or the system could give the same one twice.
  const held = await Promise.all(Array.from({ length: count }, () => hold(0)));
  const ports = held.map((server) => server.port);
  await Promise.all(held.map((server) => server.release()));
  return ports;
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

function hold(port: number): Promise<{ port: number; release(): Promise<void> }> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen({ host: LOOPBACK, port, exclusive: true }, () => {
      const address = server.address();
      if (address === null || typeof address === 'string') {
        reject(new Error('unreachable: the server listens on a port'));
        return;
      }
      const release = (): Promise<void> => new Promise((done) => server.close(() => done()));
      resolve({ port: address.port, release });
    });
  });
}
