import { expect } from '@jest/globals';
import type { Outcome } from 'twinwrite';
import type { World } from '../support/world';
import { type Document, type Kind, stateOf, type Transfer } from './transfers';

/** The ledger, both stores and the caller say the same, and nothing was done twice. */
export async function expectAgreement(
  world: World,
  kind: Kind,
  { id, account, points }: Transfer,
  status: Outcome['status'],
): Promise<void> {
  const there = status === 'applied' ? { entry: true, balance: points } : NOTHING;
  const { postgres, mongo } = await storesOf(world, kind, id, account);
  expect({ kind: kind.name, state: await stateOf(world, id), postgres, mongo }).toEqual({
    kind: kind.name,
    state: status,
    postgres: there,
    mongo: there,
  });
}

const NOTHING = { entry: false, balance: 0 };

async function storesOf({ postgres, mongo }: World, kind: Kind, id: string, account: string) {
  const suffix = kind.form === 'transaction' ? '_tx' : '';
  const rows = await postgres.query('select from entry where id = $1', [id]);
  const balance = await postgres.query<{ points: number }>(
    'select points from balance where account = $1',
    [account],
  );
  const find = async (collection: string, _id: string) =>
    await mongo
      .db()
      .collection<Document>(`${collection}${suffix}`)
      .findOne({ _id, '_tw.live': { $ne: false } });
  return {
    postgres: { entry: rows.rowCount === 1, balance: balance.rows[0]?.points ?? 0 },
    mongo: {
      entry: (await find('entries', id)) !== null,
      balance: (await find('balances', account))?.points ?? 0,
    },
  };
}
