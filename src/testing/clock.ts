const LATER_MILLIS = 400 * 24 * 3_600_000;

/** How far a check moves the clock, for people. */
export const LATER = 'with the clock 400 days later';

/**
 * Runs `work` while JavaScript's clock stands 400 days later: `Date.now()` and `new Date()`. What
 * else runs in the process meanwhile sees it too; timers do not.
 */
export function withLaterClock<Result>(work: () => Result): Result {
  const real = globalThis.Date;
  const now = () => real.now() + LATER_MILLIS;
  globalThis.Date = new Proxy(real, {
    construct: (target, parameters: unknown[], newTarget) =>
      Reflect.construct(target, parameters.length === 0 ? [now()] : parameters, newTarget) as Date,
    apply: () => new real(now()).toString(),
    get: (target, name) => (name === 'now' ? now : (Reflect.get(target, name) as unknown)),
  });
  const putBack = () => {
    globalThis.Date = real;
  };
  let result: Result;
  try {
    result = work();
  } catch (error) {
    putBack();
    throw error;
  }
  if (result instanceof Promise) return result.finally(putBack) as Result;
  putBack();
  return result;
}
