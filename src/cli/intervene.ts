import { hostname, userInfo } from 'node:os';
import { type Intervention, recordIntervention } from '../activities/interventions';
import { isMissingSchema } from '../activities/postgres/errors';
import { readCommandConfig } from '../config';
import type { Output } from './output';
import { openPostgres } from './stores';

/**
 * Records what an operator is about to do, before it is done: what is recorded may have failed, and
 * nothing is done without its record. Where the ledger cannot be reached by this command, Temporal's
 * history alone has the reason.
 */
export async function recordStep(step: Omit<Intervention, 'actor'>, output: Output): Promise<void> {
  const { postgresUrl } = readCommandConfig();
  if (postgresUrl === undefined) return;
  const postgres = await openPostgres(postgresUrl, 1);
  try {
    await recordIntervention(postgres, { ...step, actor: actorOf() });
  } catch (error) {
    if (!isMissingSchema(error)) throw error;
    output.note(
      'twinwrite: the reason was not recorded in PostgreSQL; run "twinwrite migrate" first.',
    );
  } finally {
    await postgres.end();
  }
}

function actorOf(): string {
  return `${userName()}@${hostname()}`;
}

/** A container may run under a number that nobody has named. */
function userName(): string {
  try {
    return userInfo().username;
  } catch {
    return String(process.getuid?.() ?? 'unknown');
  }
}
