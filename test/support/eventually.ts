import { setTimeout as pause } from 'node:timers/promises';

/** Waits for a condition, with a deadline: the one way in which a test waits. */
export async function eventually<Value>(
  probe: () => Promise<Value | undefined> | Value | undefined,
  what: string,
  timeoutMillis = 20_000,
): Promise<Value> {
  const until = Date.now() + timeoutMillis;
  for (;;) {
    const value = await probe();
    if (value !== undefined && value !== false) return value;
    if (Date.now() > until) throw new Error(`not within ${timeoutMillis} ms: ${what}`);
    await pause(20);
  }
}
