import type { Pool } from 'pg';
import * as mongoLedger from '../activities/mongo/ledger';
import * as mongoLeg from '../activities/mongo/leg';
import { UpdateInHand } from '../activities/update-in-hand';
import { MAX_LEG_TIMEOUT_MILLIS } from '../domain/bounds';
import { isTwinwriteError } from '../domain/errors';
import type { Json } from '../domain/json';
import { workflowIdOf } from '../domain/token';
import type { Claim } from '../domain/update-request';
import { BATCH, type Repair, type UpdateFinding } from './finding';
import { inBatches } from './versions';

interface Name {
  readonly definition: string;
  readonly token: string;
}

type Found = Omit<UpdateFinding, 'what' | 'definition' | 'token'>;

/** What PostgreSQL's ledger says of a token; `state` is null where it never heard of it. */
export interface PostgresRow extends Name {
  readonly state: 'queued' | 'applied' | 'undone' | 'refused' | 'fenced' | null;
  readonly isSettled: boolean;
}

export async function readRows(postgres: Pool, names: readonly Name[]): Promise<PostgresRow[]> {
  const { rows } = await postgres.query<PostgresRow>(
    /*sql*/ `
      select n.definition, n.token, l.state, not exists (select from twinwrite.pending p where p.ticket = l.ticket) as "isSettled"
        from unnest($1::text[], $2::text[]) n (definition, token)
        left join twinwrite.ledger l on l.definition = n.definition collate "C" and l.token = n.token collate "C"`,
    [names.map(({ definition }) => definition), names.map(({ token }) => token)],
  );
  return rows;
}

/**
 * The updates that MongoDB's ledger has applied and PostgreSQL does not know: it has lost them. What
 * PostgreSQL has refused is reported.
 */
export async function findUnknown({ postgres, mongo, report }: Repair): Promise<Name[]> {
  const unknown: Name[] = [];
  for await (const names of appliedInMongo(mongo.db())) {
    for (const { definition, token, state } of await readRows(postgres, names)) {
      if (state === null) unknown.push({ definition, token });
      if (state !== 'refused' && state !== 'fenced') continue;
      const reason = 'PostgreSQL has refused it, and MongoDB has applied it: take it back by hand';
      report({
        what: 'update',
        definition,
        token,
        found: 'disagreed',
        end: 'needs somebody',
        reason,
      });
    }
  }
  return unknown;
}

async function* appliedInMongo(db: mongoLeg.MongoStore['db']): AsyncGenerator<Name[]> {
  const cursor = db.collection<mongoLedger.LedgerDocument>(mongoLedger.LEDGER_COLLECTION).find(
    { state: 'applied' },
    {
      readConcern: 'majority',
      readPreference: 'primary',
      projection: { _id: 1 },
      sort: { _id: 1 },
    },
  );
  yield* inBatches(cursor, ({ _id }) => nameOf(_id));
}

/** A definition's name has no slash, a token may have some. */
export function nameOf(id: string): Name {
  const slash = id.indexOf('/');
  return { definition: id.slice(0, slash), token: id.slice(slash + 1) };
}

/** A settled update in the transaction form, with what driving its MongoDB leg takes. */
interface Settled extends Name {
  readonly state: 'applied' | 'undone';
  readonly ticket: string;
  readonly result: string | null;
  readonly input: string;
}

/**
 * Drives the MongoDB legs again that PostgreSQL has settled and MongoDB's ledger lacks, in the order
 * of their tickets, which is the order in which they had their entities.
 */
export async function repairMongoLedger(repair: Repair): Promise<void> {
  const missing: Settled[] = [];
  for await (const rows of settledInPostgres(repair.postgres)) {
    const found = await statesInMongo(repair, rows);
    for (const row of rows) {
      const state = found.get(mongoLedger.idOf(row));
      if (state === row.state || (row.state === 'undone' && state === 'fenced')) continue;
      if (row.state === 'undone' || state === undefined) missing.push(row);
      else
        tell(repair, row, {
          found: 'disagreed',
          end: 'needs somebody',
          reason: `PostgreSQL has applied it, and MongoDB has it as ${state}`,
        });
    }
  }
  missing.sort((left, right) => Number(BigInt(left.ticket) - BigInt(right.ticket)));
  for (const row of missing) {
    const end = repair.isDryRun
      ? ({ end: 'driven again' } as const)
      : await driveMongo(repair, row);
    tell(repair, row, { found: 'lost in MongoDB', ...end });
  }
}

function tell({ report }: Repair, { definition, token }: Name, found: Found): void {
  report({ what: 'update', definition, token, ...found });
}

async function* settledInPostgres(postgres: Pool): AsyncGenerator<Settled[]> {
  for (let after: Name = { definition: '', token: '' }; ; ) {
    const { rows } = await postgres.query<Settled>(
      /*sql*/ `
        select l.definition, l.token, l.state, l.ticket::text, l.result, l.input from twinwrite.ledger l
          where (l.definition, l.token) > ($1 collate "C", $2 collate "C") and l.input is not null and l.state in ('applied', 'undone')
            and not exists (select from twinwrite.pending p where p.ticket = l.ticket)
          order by l.definition, l.token limit ${BATCH}`,
      [after.definition, after.token],
    );
    if (rows.length > 0) yield rows;
    const last = rows.at(-1);
    if (last === undefined || rows.length < BATCH) return;
    after = last;
  }
}

async function statesInMongo({ mongo }: Repair, rows: readonly Settled[]) {
  const found = await mongo
    .db()
    .collection<mongoLedger.LedgerDocument>(mongoLedger.LEDGER_COLLECTION)
    .find(
      { _id: { $in: rows.map(mongoLedger.idOf) } },
      { readConcern: 'majority', readPreference: 'primary' },
    )
    .toArray();
  return new Map(found.map(({ _id, state }) => [_id, state]));
}

async function driveMongo(
  { postgres, mongo, updates }: Repair,
  { definition: name, token, state, ticket, result, input }: Settled,
): Promise<Pick<UpdateFinding, 'end' | 'reason'>> {
  const definition = updates.find((update) => update.name === name);
  if (definition === undefined) {
    return { end: 'needs somebody', reason: 'the config file has no such definition' };
  }
  const request = { definition: name, token, input: JSON.parse(input) as Json };
  const slowly = { ...definition, legTimeoutMillis: MAX_LEG_TIMEOUT_MILLIS };
  const update = new UpdateInHand(slowly, request, workflowIdOf(name, token));
  const claim: Claim = {
    ticket,
    form: 'transaction',
    undoable: true,
    entities: [],
    documents: [],
    result: result === null ? null : (JSON.parse(result) as Json),
  };
  const store: mongoLeg.MongoStore = { client: mongo, db: mongo.db() };
  try {
    const answer =
      state === 'applied'
        ? await mongoLeg.applyMongo(store, postgres, update, claim)
        : await mongoLeg.fenceMongo(store, update, claim);
    if (answer.at === (state === 'applied' ? 'applied' : 'fenced')) return { end: 'driven again' };
    const reason = 'reason' in answer ? answer.reason.message : `MongoDB has it as ${answer.at}`;
    return { end: 'needs somebody', reason };
  } catch (error) {
    if (!isTwinwriteError(error)) throw error;
    return { end: 'needs somebody', reason: error.message };
  }
}
