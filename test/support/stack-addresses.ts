/** The servers that `npm test` started, and where they are. */
export interface StackAddresses {
  readonly postgresUrl: string;
  readonly mongoUri: string;
  readonly temporalAddress: string;
  readonly temporalWebUrl?: string;
  /** Temporal's own command line; missing when the server was given. */
  readonly temporalProgram?: string;
}

export function stackAddresses(): StackAddresses {
  const text = process.env['TWINWRITE_TEST_STACK'];
  if (text === undefined) {
    throw new Error(
      'Run the tests with "npm test -- PATTERN": it starts the servers that they need.',
    );
  }
  return JSON.parse(text) as StackAddresses;
}
