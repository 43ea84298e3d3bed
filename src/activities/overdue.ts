import type { Pool, PoolClient } from 'pg';
import type { ExpectedVersions } from '../domain/expectation';
import type { Json } from '../domain/json';
import type { CrossStoreUpdateRequest } from '../domain/update-request';
import { inTransaction } from './postgres/transaction';

/** An unsettled update whose driver is late, with what driving it takes. */
export interface OverdueUpdate {
  readonly request: CrossStoreUpdateRequest;
  /** Of the pending row: another one of the token has another. */
  readonly ticket: string;
  readonly stage: 'forward' | 'undoing' | 'granted';
  /** How often it was tried since it last moved on, this time included. */
  readonly tries: number;
  /** By how much its driver is late. */
  readonly lateMillis: number;
}

interface OverdueRow extends Pick<OverdueUpdate, 'ticket' | 'stage' | 'tries' | 'lateMillis'> {
  readonly definition: string;
  readonly token: string;
  readonly input: string;
  readonly expected: ExpectedVersions | null;
}

type Queryable = Pick<PoolClient, 'query'> | Pick<Pool, 'query'>;

const TAKE_WITHIN_MILLIS = 5_000;

/**
 * Takes overdue updates of these definitions to be driven: nobody else takes them for a while, for
 * longer each time. It waits for no lock.
 */
export async function takeOverdue(
  postgres: Pool,
  definitions: readonly string[],
  atMost: number,
): Promise<OverdueUpdate[]> {
  const rows = await inLedger(postgres, async (client) => {
    const answer = await client.query<OverdueRow>(
      /*sql*/ `select o.ticket, o.definition, o.token, o.stage, o.tries, o.input, p.expected,
          floor(1000 * extract(epoch from o.late))::float as "lateMillis"
        from twinwrite.take_overdue($1, $2) o left join twinwrite.pending p on p.ticket = o.ticket::bigint`,
      [definitions, atMost],
    );
    return answer.rows;
  });
  return rows.map(({ definition, token, input, expected, ...row }) => ({
    ...row,
    request: {
      definition,
      token,
      input: JSON.parse(input) as Json,
      // A conflict leaves no trace: who took it before that must not claim it anew without asking.
      ...(expected === null ? {} : { expect: expected }),
    },
  }));
}

/**
 * The workflows that were called and did not come. Each is named again, ever more rarely: a call is
 * a signal, and signals get lost with the process that sends them (clause 7).
 */
export async function findOverdueCalls(client: Queryable, atMost: number): Promise<string[]> {
  const { rows } = await client.query<{ workflow: string }>(
    /*sql*/ `select workflow from twinwrite.call_overdue($1) workflow`,
    [atMost],
  );
  return rows.map(({ workflow }) => workflow);
}

/** These were called. What is left to them to do is in the queue, or nothing is. */
export async function forgetCalls(client: Queryable, workflows: readonly string[]): Promise<void> {
  await client.query(/*sql*/ `delete from twinwrite.call where workflow = any($1)`, [workflows]);
}

/** These workflows cannot be called: if their turn has come, it is the janitor's to take. */
export async function giveUpCalls(postgres: Pool, workflows: readonly string[]): Promise<void> {
  await inLedger(postgres, async (client) => {
    await client.query(/*sql*/ `select twinwrite.nobody_comes($1)`, [workflows]);
  });
}

async function inLedger<Result>(
  postgres: Pool,
  work: (client: PoolClient) => Promise<Result>,
): Promise<Result> {
  return await inTransaction(postgres, { timeoutMillis: TAKE_WITHIN_MILLIS }, work);
}
