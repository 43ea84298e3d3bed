import { loadClientConnectConfig } from '@temporalio/envconfig';
import { Twinwrite } from '../client';
import { TwinwriteError } from '../domain/errors';
import { reasonOf } from '../stack/reasons';

/**
 * Connects to Temporal as the environment and `temporal.toml` say.
 *
 * @throws TwinwriteError `InvalidConfiguration`, `Unavailable`
 */
export async function connectToTemporal(taskQueue?: string): Promise<Twinwrite> {
  checkTemporalSettings();
  return await Twinwrite.connect(taskQueue === undefined ? {} : { taskQueue });
}

/** @throws TwinwriteError `InvalidConfiguration` */
export function checkTemporalSettings(): void {
  try {
    loadClientConnectConfig();
  } catch (error) {
    throw new TwinwriteError(
      'InvalidConfiguration',
      { problem: `TEMPORAL_* or temporal.toml cannot be used (${reasonOf(error)}); correct them.` },
      { cause: error },
    );
  }
}
