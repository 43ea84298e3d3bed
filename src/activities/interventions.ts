import type { Pool } from 'pg';
import { isMissingSchema } from './postgres/errors';

/** What an operator did to one update. The protocol never reads it. */
export interface Intervention {
  readonly verb: 'retry' | 'cancel';
  readonly definition: string;
  readonly token: string;
  /** Why, in the operator's words. */
  readonly reason: string;
  /** Who: the user of the operating system at its host. */
  readonly actor: string;
}

export interface RecordedIntervention extends Omit<Intervention, 'definition' | 'token'> {
  readonly at: string;
}

export async function recordIntervention(postgres: Pool, intervention: Intervention) {
  const { verb, definition, token, reason, actor } = intervention;
  await postgres.query(
    /*sql*/ `insert into twinwrite.intervention (verb, definition, token, reason, actor) values ($1, $2, $3, $4, $5)`,
    [verb, definition, token, reason, actor],
  );
}

/** In the order in which they were done. */
export async function readInterventions(
  postgres: Pool,
  definition: string,
  token: string,
): Promise<readonly RecordedIntervention[]> {
  try {
    const { rows } = await postgres.query<Omit<RecordedIntervention, 'at'> & { at: Date }>(
      /*sql*/ `select verb, reason, actor, at from twinwrite.intervention where definition = $1 and token = $2 order by id`,
      [definition, token],
    );
    return rows.map((row) => ({ ...row, at: row.at.toISOString() }));
  } catch (error) {
    if (isMissingSchema(error)) return [];
    throw error;
  }
}
