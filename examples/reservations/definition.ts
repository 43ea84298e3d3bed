import {
  defineCrossStoreUpdate,
  defineProjection,
  type PostgresClient,
  type Refuse,
} from 'twinwrite';
import { z } from 'zod';

/** What the customers' pages read: a reservation, and how it stands. */
export const reservations = defineProjection({
  collection: 'reservations',
  image: async ({ postgres, ids }) => {
    const { rows } = await postgres.query<ReservationRow>(
      'select id, sku, quantity, status, expires_at from reservation where id::text = any($1)',
      [ids],
    );
    return rows.map(({ id, expires_at: expiresAt, ...same }) => ({ _id: id, ...same, expiresAt }));
  },
});

interface ReservationRow {
  id: string;
  sku: string;
  quantity: number;
  status: 'reserved' | 'confirmed' | 'cancelled' | 'expired';
  expires_at: Date;
}

/**
 * Takes pieces out of the stock for a while. What is sold out is refused by the precheck, without
 * waiting for those who reserve at the same moment; whether there is a piece is decided in `apply`.
 */
export const reserve = defineCrossStoreUpdate({
  name: 'reserve',
  input: z.strictObject({
    reservationId: z.uuid(),
    sku: z.string().min(1).max(64),
    quantity: z.int().min(1).max(100),
    /** How long it is kept without being confirmed. */
    keptMillis: z.int().min(100).max(86_400_000),
  }),
  token: (input) => input.reservationId,
  entities: (input) => [`stock:${input.sku}`],
  precheck: async ({ postgres, input, refuse }) => {
    const { rowCount } = await postgres.query(
      'select from item where sku = $1 and available >= $2',
      [input.sku, input.quantity],
    );
    if (rowCount === 0) refuse(`${input.sku} is sold out`);
  },
  postgres: {
    apply: async ({ client, input, refuse }) => {
      const taken = await client.query(
        'update item set available = available - $2 where sku = $1 and available >= $2',
        [input.sku, input.quantity],
      );
      if (taken.rowCount === 0) return refuse(`${input.sku} is sold out`);
      const { rows } = await client.query<{ expires_at: Date }>(
        `insert into reservation (id, sku, quantity, status, expires_at)
           values ($1, $2, $3, 'reserved', date_trunc('milliseconds', now() + $4 * interval '1 millisecond'))
           returning expires_at`,
        [input.reservationId, input.sku, input.quantity, input.keptMillis],
      );
      return { expiresAt: rows[0]?.expires_at.toISOString() ?? null };
    },
    undo: async ({ client, input }) => {
      await client.query('delete from reservation where id = $1', [input.reservationId]);
      await client.query('update item set available = available + $2 where sku = $1', [
        input.sku,
        input.quantity,
      ]);
    },
  },
  mongo: { project: (input) => [reservations.document(input.reservationId)] },
});

/** The three ways in which a reservation ends have the rest in common, and none a way back. */
const ending = {
  input: z.strictObject({ reservationId: z.uuid() }),
  token: (input: Ending) => input.reservationId,
  mongo: { project: (input: Ending) => [reservations.document(input.reservationId)] },
};

interface Ending {
  reservationId: string;
}

interface Context {
  readonly client: PostgresClient;
  readonly input: Ending;
  readonly refuse: Refuse;
}

/** The customer has paid: the pieces are theirs. */
export const confirm = defineCrossStoreUpdate({
  ...ending,
  name: 'confirm',
  postgres: {
    apply: async ({ client, input, refuse }) => {
      const { rowCount } = await client.query(
        `update reservation set status = 'confirmed' where id = $1 and status = 'reserved' and expires_at > now()`,
        [input.reservationId],
      );
      if (rowCount === 0) refuse('it is no longer reserved');
    },
  },
});

/** The customer has thought better of it. */
export const cancel = defineCrossStoreUpdate({
  ...ending,
  name: 'cancel',
  postgres: { apply: async (context) => await giveBack(context, 'cancelled') },
});

/** The customer has gone, or died: submitted by whoever looks for them. */
export const expire = defineCrossStoreUpdate({
  ...ending,
  name: 'expire',
  postgres: { apply: async (context) => await giveBack(context, 'expired') },
});

async function giveBack(
  { client, input, refuse }: Context,
  status: 'cancelled' | 'expired',
): Promise<void> {
  const { rows } = await client.query<{ sku: string; quantity: number }>(
    `update reservation set status = $2
       where id = $1 and status = 'reserved' and ($2 <> 'expired' or expires_at <= now()) returning sku, quantity`,
    [input.reservationId, status],
  );
  const [ended] = rows;
  if (ended === undefined) return refuse('it is no longer reserved, or has not expired');
  await client.query('update item set available = available + $2 where sku = $1', [
    ended.sku,
    ended.quantity,
  ]);
}
