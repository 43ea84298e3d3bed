import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { MongoClient } from 'mongodb';
import { findServer } from './find-server';
import { mongoSearch } from './mongo-search';
import { isPortTaken, LOOPBACK } from './ports';
import { optionsOf } from './run-program';
import type { RunningServer } from './running-server';
import type { StartContext } from './start-context';
import { startServer } from './started-server';

const REPLICA_SET = 'twinwrite';

/** The code of MongoDB for a set that is already initiated. */
const ALREADY_INITIALIZED = 23;

/** How the MongoDB server that is started differs from its defaults. */
export interface MongoTuning {
  /** In gigabytes, at least 0.25; default 0.5. */
  readonly cacheSizeGigabytes?: number;
  /**
   * In seconds, default 3 (a server's own is 60): so long a transaction of a client that vanished
   * keeps its documents locked.
   */
  readonly transactionLifetimeLimitSeconds?: number;
  /** Further server parameters, as for `--setParameter`. */
  readonly parameters?: Readonly<Record<string, string>>;
}

/** Finds MongoDB and starts it as a replica set of one node, whose node is the primary. */
export async function startMongo(
  context: StartContext,
  tuning: MongoTuning = {},
): Promise<RunningServer> {
  const found = await findServer(context, await mongoSearch(context));
  context.report({ server: 'mongo', phase: 'starting', version: found.version });
  const data = join(context.runtime.path, 'mongo');
  await mkdir(data);
  const { ports, process } = await startServer(context, {
    server: 'mongo',
    program: found.program,
    portCount: 1,
    args: ([port]) => argumentsFor(data, port ?? 0, tuning),
    probe: ([port = 0]) => becomePrimary(port),
    stopSignal: 'TERM',
    graceMillis: 10_000,
    logFile: join(context.runtime.path, 'mongo.log'),
  });
  const url = `mongodb://${LOOPBACK}:${ports[0]}/?replicaSet=${REPLICA_SET}&directConnection=false&retryWrites=true&w=majority`;
  context.report({
    server: 'mongo',
    phase: 'ready',
    version: found.version,
    source: found.source,
    url,
  });
  return { url, version: found.version, source: found.source, process };
}

function argumentsFor(data: string, port: number, tuning: MongoTuning): string[] {
  const parameters: Record<string, string> = {
    // Fail points, for the tests of faults.
    enableTestCommands: '1',
    transactionLifetimeLimitSeconds: String(tuning.transactionLifetimeLimitSeconds ?? 3),
    diagnosticDataCollectionEnabled: 'false',
    ...tuning.parameters,
  };
  const options = {
    dbpath: data,
    bind_ip: LOOPBACK,
    port: String(port),
    replSet: REPLICA_SET,
    oplogSize: '990',
    wiredTigerCacheSizeGB: String(tuning.cacheSizeGigabytes ?? 0.5),
  };
  const set = Object.entries(parameters).map(([name, value]) => `${name}=${value}`);
  return [
    '--nounixsocket',
    ...optionsOf(options),
    ...set.flatMap((parameter) => ['--setParameter', parameter]),
  ];
}

/** Initiates the set if it is not, and fails until its node is a writable primary. */
async function becomePrimary(port: number): Promise<void> {
  // The driver looks again only after half a second; until somebody listens, a bare look is faster.
  if (!(await isPortTaken(port))) throw new Error('nobody listens yet');
  const client = new MongoClient(`mongodb://${LOOPBACK}:${port}/?directConnection=true`, {
    serverSelectionTimeoutMS: 2_000,
  });
  try {
    const admin = client.db('admin');
    const config = { _id: REPLICA_SET, members: [{ _id: 0, host: `${LOOPBACK}:${port}` }] };
    await admin.command({ replSetInitiate: config }).catch((error: { code?: unknown }) => {
      if (error.code !== ALREADY_INITIALIZED) throw error;
    });
    const hello = await admin.command({ hello: 1 });
    if (hello['isWritablePrimary'] !== true) throw new Error('not the primary yet');
  } finally {
    await client.close();
  }
}
