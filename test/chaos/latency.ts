import { setTimeout as pause } from 'node:timers/promises';

/** What a call takes on its way: it is the fault, not a way to wait for something. */
export async function latency(random: () => number, upToMillis: number): Promise<void> {
  await pause(random() * upToMillis);
}
