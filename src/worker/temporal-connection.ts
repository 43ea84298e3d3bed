import { isGrpcServiceError } from '@temporalio/client';
import { loadClientConnectConfig } from '@temporalio/envconfig';
import { NativeConnection } from '@temporalio/worker';
import { TwinwriteError } from '../domain/errors';

export interface TemporalConnection {
  readonly connection: NativeConnection;
  readonly namespace: string;
  /** Closes what was opened here; a connection that was given stays open. */
  close(): Promise<void>;
}

/** gRPC's NOT_FOUND. */
const NOT_FOUND = 5;

/**
 * Takes the connection that the application has, or opens the one that `TEMPORAL_*` and
 * `temporal.toml` describe, and makes sure that its namespace is there: Temporal's own worker finds
 * out too late, and then leaves its threads behind.
 *
 * @throws TwinwriteError `Unavailable`, `InvalidConfiguration`
 */
export async function connectToTemporal(
  given: { readonly connection: NativeConnection; readonly namespace?: string } | undefined,
): Promise<TemporalConnection> {
  const temporal =
    given === undefined
      ? await openConnection()
      : {
          connection: given.connection,
          namespace: given.namespace ?? 'default',
          close: async () => {},
        };
  try {
    await assertNamespace(temporal);
    return temporal;
  } catch (error) {
    await temporal.close();
    throw error;
  }
}

async function openConnection(): Promise<TemporalConnection> {
  const { connectionOptions, namespace = 'default' } = readConfiguration();
  const { address = '127.0.0.1:7233' } = connectionOptions;
  try {
    const connection = await NativeConnection.connect(connectionOptions);
    return { connection, namespace, close: () => connection.close() };
  } catch (cause) {
    throw new TwinwriteError('Unavailable', { cause: `no connection to ${address}` }, { cause });
  }
}

async function assertNamespace({ connection, namespace }: TemporalConnection): Promise<void> {
  try {
    await connection.workflowService.describeNamespace({ namespace });
  } catch (cause) {
    const code: number | undefined = isGrpcServiceError(cause) ? cause.code : undefined;
    if (code === NOT_FOUND) {
      const problem = `Temporal has no namespace "${namespace}". Create it, or name another with TEMPORAL_NAMESPACE or createWorker's temporal.namespace.`;
      throw new TwinwriteError('InvalidConfiguration', { problem }, { cause });
    }
    const why = isGrpcServiceError(cause) ? cause.details : 'no answer';
    throw new TwinwriteError('Unavailable', { cause: why }, { cause });
  }
}

function readConfiguration() {
  try {
    return loadClientConnectConfig();
  } catch (cause) {
    const text = cause instanceof Error ? cause.message : 'it cannot be read';
    const problem = `Mend Temporal's configuration (TEMPORAL_*, temporal.toml): ${text}`;
    throw new TwinwriteError('InvalidConfiguration', { problem }, { cause });
  }
}
