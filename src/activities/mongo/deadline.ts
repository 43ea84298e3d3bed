class MongoDeadlineError extends Error {
  override readonly name = 'MongoDeadlineError';

  constructor(timeoutMillis: number) {
    super(`MongoDB did not finish within ${timeoutMillis} ms`);
  }
}

/**
 * A deadline of our own: the driver's `timeoutMS` has no effect in 7.8, its socket has no
 * timeout unless the application sets one, and `maxTimeMS` helps only while the server answers.
 *
 * What is left behind still holds its connection, until the driver finds the server gone.
 */
export function startDeadline(timeoutMillis: number) {
  let timer: NodeJS.Timeout | undefined;
  const passed = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new MongoDeadlineError(timeoutMillis)), timeoutMillis);
  });
  // Nobody may be listening when it passes.
  passed.catch(() => {});
  return { passed, clear: () => clearTimeout(timer) };
}

/** The answer, or an error when it takes longer: then what was asked is in doubt. */
export async function within<Answer>(
  timeoutMillis: number,
  answer: Promise<Answer>,
): Promise<Answer> {
  const deadline = startDeadline(timeoutMillis);
  try {
    return await Promise.race([answer, deadline.passed]);
  } finally {
    deadline.clear();
  }
}
