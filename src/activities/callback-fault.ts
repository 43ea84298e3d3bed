const thrownByCallbacks = new WeakSet<object>();

/**
 * Runs a callback of a definition and remembers what it throws by itself. A connection that broke
 * passes; a bug is there until somebody deploys, and only here can the two be told apart: the
 * drivers' errors have no common class.
 *
 * @param isOfStore whether an error came out of a store's driver or from Twinwrite itself, and only
 *   passed through.
 */
export async function runCallback<Result>(
  callback: () => Promise<Result>,
  isOfStore: (error: unknown) => boolean,
): Promise<Result> {
  try {
    return await callback();
  } catch (error) {
    if (isOfStore(error)) throw error;
    // A set of what was thrown cannot hold a string, which JavaScript lets anybody throw.
    const fault = typeof error === 'object' && error !== null ? error : new Error(String(error));
    thrownByCallbacks.add(fault);
    throw fault;
  }
}

/** Whether a callback threw this, and no store. */
export function isCallbackFault(error: unknown): boolean {
  return typeof error === 'object' && error !== null && thrownByCallbacks.has(error);
}
