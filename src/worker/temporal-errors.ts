import { isGrpcServiceError } from '@temporalio/client';
import {
  GracefulShutdownPeriodExpiredError,
  TransportError,
  type Worker,
} from '@temporalio/worker';
import { TwinwriteError } from '../domain/errors';

/** Why `run` ended other than by a drain. */
export function whyItEnded(worker: Worker, error: unknown): unknown {
  const legs = worker.getStatus().numInFlightActivities;
  if (legs > 0) {
    // Temporal's own error of this is lost: letting go of the worker fails as well while a leg has
    // it, and that failure is what it throws.
    return new GracefulShutdownPeriodExpiredError(
      `${legs} legs in flight outlived the grace; another worker runs them again. Raise shutdownGraceMillis if they may take longer.`,
      { cause: error },
    );
  }
  if (!(error instanceof TransportError)) return error;
  return new TwinwriteError(
    'Unavailable',
    { cause: 'the connection is lost for good' },
    { cause: error },
  );
}

/** The code with which Temporal's server answered, if that is what failed. */
export function grpcCodeOf(error: Error): number | undefined {
  const cause = error.cause instanceof Error ? error.cause : error;
  return isGrpcServiceError(cause) ? cause.code : undefined;
}
