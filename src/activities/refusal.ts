import type { Reason } from '../domain/outcome';

/** Travels from where a refusal is found to the leg that records it. */
export class RefusedError extends Error {
  override readonly name = 'RefusedError';

  constructor(readonly reason: Reason) {
    super(reason.message);
  }
}

/** The `refuse` that callbacks get. */
export function refuseByDefinition(reason: string): never {
  throw new RefusedError({ code: 'RefusedByDefinition', message: reason.slice(0, 1_000) });
}
