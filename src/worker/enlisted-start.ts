import type { EnlistedStart } from '../activities/postgres/outbox';
import type { Start } from '../client/start-options';
import { type Starting, startOrJoin } from '../client/start-update';
import { checkRequest } from '../domain/check-request';
import { type ErrorCode, isTwinwriteError, TwinwriteError } from '../domain/errors';
import { fingerprintOf } from '../domain/fingerprint';
import { grpcCodeOf } from './temporal-errors';

/** What became of the start of an enlisted update. */
export type StartAnswer =
  | { readonly at: 'started' }
  /** Temporal did not answer, or cannot now: nobody's fault, and tried again. */
  | { readonly at: 'unavailable'; readonly error: unknown }
  /** Trying again alone will not help: it needs somebody. */
  | {
      readonly at: 'refused';
      readonly code: ErrorCode | 'RefusedByTemporal';
      readonly error: Error;
    };

/** gRPC's INVALID_ARGUMENT: this start is refused, whenever it comes. */
const INVALID_ARGUMENT = 3;

/**
 * Starts an update that a transaction enlisted, as `submit` would have. It may have been started
 * already, by a relay that died before it said so: then it is found started, or ended, or the
 * ledger answers what Temporal has forgotten.
 */
export async function startEnlisted(
  starting: Starting,
  enlisted: EnlistedStart,
): Promise<StartAnswer> {
  try {
    await startOrJoin(starting, checkedStart(enlisted));
    return { at: 'started' };
  } catch (error) {
    if (isTwinwriteError(error)) return { at: 'refused', code: error.code, error };
    if (error instanceof Error && grpcCodeOf(error) === INVALID_ARGUMENT) {
      // The client's own error says only that a start failed.
      const reason = error.cause instanceof Error ? error.cause : error;
      return { at: 'refused', code: 'RefusedByTemporal', error: reason };
    }
    return { at: 'unavailable', error };
  }
}

/**
 * Whoever may write into the table may have written anything there.
 *
 * @throws TwinwriteError `InvalidInput`, `TokenReused`
 */
function checkedStart(enlisted: EnlistedStart): Start {
  const { definition, token, legTimeoutMillis, details, known } = enlisted;
  const input: unknown = JSON.parse(enlisted.input);
  const entities: unknown = JSON.parse(enlisted.entities);
  const checked = checkRequest({ definition, token, input, entities, legTimeoutMillis });
  if ('refusal' in checked) throw checked.refusal;
  // Where Temporal has forgotten the token, it would start a workflow that can only fail.
  if (known !== null && known !== fingerprintOf(checked.request.input)) {
    throw new TwinwriteError('TokenReused', { definition, token });
  }
  return { legTimeoutMillis, entities: [], ...checked.request, details };
}
