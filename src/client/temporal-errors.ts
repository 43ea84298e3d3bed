import { isGrpcServiceError, WorkflowNotFoundError } from '@temporalio/client';
import { isTwinwriteError, TwinwriteError } from '../domain/errors';

interface Identity {
  readonly definition?: string;
  readonly token?: string;
}

/** gRPC's names for its codes, to tell a server that is down from one that refuses. */
const GRPC_CODES: Readonly<Record<number, string>> = {
  1: 'cancelled',
  4: 'no answer in time',
  5: 'not found',
  7: 'permission denied',
  8: 'overloaded',
  14: 'not reachable',
  16: 'not authenticated',
};

/** Turns what Temporal's client threw into an error of ours. */
export function throwAsTwinwriteError(identity: Identity) {
  return (error: unknown): never => {
    if (isTwinwriteError(error)) throw error;
    const { definition, token } = identity;
    if (error instanceof WorkflowNotFoundError && definition !== undefined && token !== undefined) {
      throw new TwinwriteError('UnknownUpdate', { definition, token }, { cause: error });
    }
    throw new TwinwriteError(
      'Unavailable',
      { ...identity, cause: describe(error) },
      { cause: error },
    );
  };
}

function describe(error: unknown): string {
  const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error;
  if (isGrpcServiceError(cause)) return GRPC_CODES[cause.code] ?? cause.details;
  return cause instanceof Error ? cause.message : 'no answer';
}
