import type { Db } from 'mongodb';
import type { LedgerKey } from '../ledger-key';
import { within } from './deadline';
import { idOf, LEDGER_COLLECTION, type LedgerDocument } from './ledger';

export type EntryName = Pick<LedgerKey, 'definition' | 'token'>;

const ANSWER_WITHIN_MILLIS = 10_000;

/**
 * Removes the ledger documents of these updates, as far as they are old, and answers whose stay.
 * When it returns, a majority has forgotten the others, or never had one: a projection has none.
 *
 * The age stands in the filter because this may arrive late: a collector that was frozen here has
 * lost its lock in PostgreSQL, and by now the token may stand for a new update.
 */
export async function removeOldEntries<Name extends EntryName>(
  db: Db,
  names: readonly Name[],
  cutoff: Date,
): Promise<ReadonlySet<Name>> {
  const ids = names.map(idOf);
  const removing = db
    .collection<LedgerDocument>(LEDGER_COLLECTION)
    .deleteMany(
      { _id: { $in: ids }, at: { $lt: cutoff } },
      { writeConcern: { w: 'majority', journal: true } },
    );
  await within(ANSWER_WITHIN_MILLIS, removing);
  return await staying(db, names, {});
}

/** The updates whose ledger documents are too young to be removed. It reads only. */
export async function findYoungEntries<Name extends EntryName>(
  db: Db,
  names: readonly Name[],
  cutoff: Date,
): Promise<ReadonlySet<Name>> {
  return await staying(db, names, { at: { $not: { $lt: cutoff } } });
}

async function staying<Name extends EntryName>(
  db: Db,
  names: readonly Name[],
  filter: object,
): Promise<ReadonlySet<Name>> {
  const finding = db
    .collection<LedgerDocument>(LEDGER_COLLECTION)
    .find(
      { _id: { $in: names.map(idOf) }, ...filter },
      {
        projection: { _id: 1 },
        readConcern: 'majority',
        readPreference: 'primary',
      },
    )
    .toArray();
  const found = await within(ANSWER_WITHIN_MILLIS, finding);
  const ids = new Set(found.map(({ _id }) => _id));
  return new Set(names.filter((name) => ids.has(idOf(name))));
}
