import { MongoClient } from 'mongodb';
import { Pool } from 'pg';
import type { Finding } from '../../src/epoch/finding';
import { raiseEpoch } from '../../src/epoch/raise';
import type { World } from '../support/world';
import { projections, updates } from './points';

/** What the command does, over stores of its own as the command has. */
export async function raise(world: World, { isDryRun = false, isNewPair = false } = {}) {
  const postgres = new Pool({ connectionString: world.postgresUrl, application_name: world.name });
  const mongo = new MongoClient(world.mongoUri, { appName: world.name });
  const findings: Finding[] = [];
  const report = (finding: Finding) => findings.push(finding);
  const temporal = { client: world.temporal, taskQueues: [world.name] };
  const options = { updates, projections, temporal, isDryRun, isNewPair, reason: 'test' };
  try {
    const epoch = await raiseEpoch({ postgres, mongo, report, ...options });
    return { epoch, findings };
  } finally {
    await postgres.end();
    await mongo.close();
  }
}
