import { type CheckedStores, EpochCheck } from '../../activities/epoch-check';

const CHECK_EVERY_MILLIS = 1_000;

/**
 * Runs what writes without a worker, with the stores compared before it and every second of it as
 * workers do: what it writes is noticed when it is lost. A store that went back meanwhile lets
 * nothing in.
 *
 * @throws TwinwriteError `StoresStopped`, `UnsuitableStore`
 */
export async function whileOpen(stores: CheckedStores, work: () => Promise<void>): Promise<void> {
  const check = new EpochCheck(stores);
  await check.run();
  let running: Promise<unknown> = Promise.resolve();
  const timer = setInterval(() => {
    running = check.run().catch(() => undefined);
  }, CHECK_EVERY_MILLIS);
  try {
    await work();
  } finally {
    clearInterval(timer);
    await running;
  }
}
