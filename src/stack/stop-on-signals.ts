/**
 * Ctrl-C and SIGTERM end a Node program at once. The guardians would stop the servers even so, but
 * the prompt would be back before they are gone; so a program that has no handler of its own gets
 * one that stops every stack first.
 */

const SIGNALS = ['SIGINT', 'SIGTERM'] as const;

const stops = new Set<() => Promise<void>>();

/** Calls `stop` when a signal ends this process. The returned function forgets it. */
export function stopOnSignals(stop: () => Promise<void>): () => void {
  if (stops.size === 0) for (const signal of SIGNALS) process.on(signal, onSignal);
  stops.add(stop);
  return () => {
    stops.delete(stop);
    if (stops.size === 0) for (const signal of SIGNALS) process.off(signal, onSignal);
  };
}

function onSignal(signal: NodeJS.Signals): void {
  // The program has its own handler, and its own order: it calls `stop` when it is ready to.
  if (process.listenerCount(signal) > 1) return;
  void Promise.allSettled([...stops].map((stop) => stop())).then(() => {
    // By the signal, and not by an exit code, so that the parent sees what really happened.
    for (const name of SIGNALS) process.off(name, onSignal);
    process.kill(process.pid, signal);
  });
}
