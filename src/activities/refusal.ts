import { describeIssues } from '../domain/errors';
import { inspectJson, type Json } from '../domain/json';
import type { Reason } from '../domain/outcome';

/** Travels from where a refusal is found to the leg that records it. */
export class RefusedError extends Error {
  override readonly name = 'RefusedError';

  constructor(readonly reason: Reason) {
    super(reason.message);
  }
}

const MAX_MESSAGE_CHARACTERS = 1_000;

/** The `refuse` that callbacks get. Details that cannot be recorded keep nothing from being refused. */
export function refuseByDefinition(reason: string, details?: Json): never {
  const code = 'RefusedByDefinition';
  const message = reason.slice(0, MAX_MESSAGE_CHARACTERS);
  if (details === undefined) throw new RefusedError({ code, message });
  const { json, issues } = inspectJson(details);
  if (issues.length === 0) throw new RefusedError({ code, message, details: json });
  const problem = `its details cannot be recorded: ${describeIssues(issues)}`;
  throw new RefusedError({ code, message: `${message} (${problem})` });
}
