import type { ClientSession, Document, MongoClient, UUID } from 'mongodb';
import type { LedgerKey } from '../ledger-key';
import { within } from './deadline';

/** Small, so without an index: one note for each session that ever had a transaction of ours. */
export const TRANSACTIONS_COLLECTION = 'twinwrite_transactions';

/** Which token a session worked for last. */
interface Note {
  /** The session's id on the server. */
  readonly _id: UUID;
  readonly of: string;
  /** After this its own worker has given the transaction up. */
  readonly until: Date;
}

type Whom = Pick<LedgerKey, 'definition' | 'token'>;

/** How much longer than its deadline a transaction counts as its worker's own. */
const MARGIN_MILLIS = 100;

/** Ending things is quick, or does not happen now: the leg waits for it. */
const END_WITHIN_MILLIS = 250;

/** No transaction is open for so long: its note is of no use to anybody. */
const KEEP_FOR_MILLIS = 60 * 60_000;

/**
 * Writes down, outside the transaction, which session works for a token. A transaction outlives the
 * worker that was killed in it by `transactionLifetimeLimitSeconds`, a minute by default, and blocks
 * its own token for as long (F13); whoever knows the session can end it at once. Acknowledged by the
 * primary alone: open transactions do not survive a change of primary either.
 *
 * Never fails: without the note, the server's limit ends an orphan.
 */
export async function noteOpen(
  client: MongoClient,
  session: ClientSession,
  whom: Whom,
  timeoutMillis: number,
): Promise<void> {
  // The server's clock on both ends: workers need not agree on the time.
  const until = { $add: ['$$NOW', timeoutMillis + MARGIN_MILLIS] };
  const q = { _id: session.id?.id };
  const u = [{ $set: { of: { $literal: nameOf(whom) }, until } }];
  const noting = write(client, {
    update: TRANSACTIONS_COLLECTION,
    updates: [{ q, u, upsert: true }],
  });
  await within(timeoutMillis, noting).catch(() => {});
}

/**
 * Ends what an attempt that is given up may still hold of a token: its worker was killed, or is
 * frozen and will find its transaction gone. An attempt that is within its time is left alone, and
 * so is what the application does in a session that the driver lent it afterwards.
 *
 * Never fails: what cannot be ended is ended by the server's limit.
 */
export async function endOrphans(client: MongoClient, whom: Whom): Promise<void> {
  try {
    const notes = await within(END_WITHIN_MILLIS, findOverdue(client, whom));
    if (notes.length === 0) return;
    for (const id of await within(END_WITHIN_MILLIS, findOpen(client, notes))) {
      // Its note is left to whoever comes next.
      if (!(await killSession(client, id))) return;
    }
    const ids = notes.map(({ _id }) => _id);
    const old = { $lt: ['$until', { $subtract: ['$$NOW', KEEP_FOR_MILLIS] }] };
    const deletes = [
      { q: { _id: { $in: ids }, of: { $eq: nameOf(whom) } }, limit: 0 },
      { q: { $expr: old }, limit: 0 },
    ];
    await within(END_WITHIN_MILLIS, write(client, { delete: TRANSACTIONS_COLLECTION, deletes }));
  } catch {
    // The claim that follows says whether it matters.
  }
}

async function findOverdue(client: MongoClient, whom: Whom): Promise<Note[]> {
  return await client
    .db()
    .collection<Note>(TRANSACTIONS_COLLECTION)
    .find(
      { of: { $eq: nameOf(whom) }, $expr: { $lt: ['$until', '$$NOW'] } },
      { readPreference: 'primary' },
    )
    .toArray();
}

/** The sessions among these whose open transaction is as old as the note. */
async function findOpen(client: MongoClient, notes: readonly Note[]): Promise<UUID[]> {
  const open = await client
    .db('admin')
    .aggregate<{ lsid: { id: UUID }; transaction: { startWallClockTime: string } }>([
      { $currentOp: { idleSessions: true } },
      {
        $match: {
          'lsid.id': { $in: notes.map(({ _id }) => _id) },
          'transaction.parameters.autocommit': false,
        },
      },
    ])
    .toArray();
  const isOurs = ({ lsid, transaction }: (typeof open)[number]) => {
    const note = notes.find(({ _id }) => _id.toString('hex') === lsid.id.toString('hex'));
    return note !== undefined && new Date(transaction.startWallClockTime) <= note.until;
  };
  return open.filter(isOurs).map(({ lsid }) => lsid.id);
}

/**
 * Ends a session's transaction on the server, wherever its connection is; a later command of it is
 * refused. A user may always see and end sessions of its own, so no privilege is needed.
 */
export async function killSession(client: MongoClient, id: unknown): Promise<boolean> {
  const killing = client.db('admin').command({ killSessions: [{ id }] });
  return await within(END_WITHIN_MILLIS, killing).then(
    () => true,
    () => false,
  );
}

/**
 * A plain command, since the driver makes a retryable write of everything else: that is recorded
 * with a session of its pool, perhaps one whose next transaction then conflicts with the record.
 */
async function write(client: MongoClient, command: Document): Promise<void> {
  await client.db().command({ ...command, writeConcern: { w: 1 } });
}

function nameOf({ definition, token }: Whom): string {
  return `${definition}/${token}`;
}
