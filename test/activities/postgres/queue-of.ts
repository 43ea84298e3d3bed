import { expect } from '@jest/globals';
import type { Pool, PoolClient } from 'pg';
import * as ledger from '../../../src/activities/postgres/ledger';
import type { Claim } from '../../../src/domain/update-request';

export interface Update {
  readonly key: { definition: string; token: string; fingerprint: string };
  readonly plan: ledger.ClaimedPlan;
}

let sequence = 0;

/** What the tests of the queue do with an update: each a transaction of its own. */
export function queueOf(pool: () => Pool) {
  /** A holder, unless it says otherwise: in the transaction form. */
  const update = (entities: string[], overrides: Partial<ledger.ClaimedPlan> = {}): Update => {
    const token = `t${++sequence}`;
    const plan: ledger.ClaimedPlan = {
      workflow: `w/${token}`,
      form: 'transaction',
      undoable: true,
      entities,
      documents: [],
      input: {},
      ...overrides,
    };
    return { key: { definition: 'd', token, fingerprint: '1:x' }, plan };
  };
  const free = (entities: string[]) => update(entities, { form: 'projection', undoable: false });

  const claimOrWait = async ({ key, plan }: Update) => await ledger.claim(pool(), key, plan);
  const claimed = async (wanted: Update): Promise<Claim> => {
    const answer = await claimOrWait(wanted);
    if (answer.at !== 'claimed') throw new Error(`${wanted.key.token} is ${answer.at}`);
    return answer.claim;
  };
  const waits = async (wanted: Update) => {
    expect(await claimOrWait(wanted)).toEqual({ at: 'waiting', workflow: wanted.plan.workflow });
  };
  const settle = async (settled: Update, claim: Claim) =>
    (await ledger.settle(pool(), settled.key, claim)).turns;

  return { update, free, claim: claimOrWait, claimed, waits, settle };
}

/** What a step does in one transaction. */
export async function inTransaction<Result>(
  pool: Pool,
  work: (client: PoolClient) => Promise<Result>,
): Promise<Result> {
  const client = await pool.connect();
  try {
    await client.query('begin');
    const result = await work(client);
    await client.query('commit');
    return result;
  } finally {
    client.release();
  }
}
