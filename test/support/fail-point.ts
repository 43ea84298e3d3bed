import { MongoClient } from 'mongodb';
import { Pool } from 'pg';
import type { World } from './world';

export interface CommandFailure {
  readonly failCommands: readonly string[];
  readonly times: number;
  /** `errorCode`, `closeConnection`, `errorLabels`, `writeConcernError`: as MongoDB names them. */
  readonly fails: Readonly<Record<string, unknown>>;
}

/**
 * Lets commands of one application name fail while `work` runs, and says how often they did. The
 * server has one such fail point for all: an advisory lock keeps two test files from sharing it.
 */
export async function whileFailing<Result>(
  world: World,
  appName: string,
  { failCommands, times, fails }: CommandFailure,
  work: (isOver: () => Promise<boolean>) => Promise<Result>,
): Promise<{ readonly result: Result; readonly failed: number }> {
  const lock = new Pool({ connectionString: world.addresses.postgresUrl, max: 1 });
  const mongo = new MongoClient(world.addresses.mongoUri);
  const configure = async (settings: Record<string, unknown>) =>
    await mongo.db('admin').command({ configureFailPoint: 'failCommand', ...settings });
  try {
    await lock.query(`select pg_advisory_lock(hashtext('failCommand'))`);
    const before = await configure({ mode: 'off' });
    await configure({ mode: { times }, data: { failCommands, appName, ...fails } });
    const isOver = async () => {
      const name = 'failpoint.failCommand';
      const { [name]: state } = await mongo.db('admin').command({ getParameter: 1, [name]: 1 });
      return (state as { mode: number }).mode === 0;
    };
    const result = await work(isOver);
    const after = await configure({ mode: 'off' });
    return { result, failed: Number(after['count']) - Number(before['count']) };
  } finally {
    await configure({ mode: 'off' });
    await mongo.close();
    await lock.end();
  }
}
