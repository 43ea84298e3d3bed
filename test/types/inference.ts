/**
 * Goal: every callback infers `input` and `result`, without an annotation or a type argument.
 * Method: exact types, asserted inside the callbacks; two compilers read this file, nobody runs it.
 */
import type { ClientSession, Db } from 'mongodb';
import {
  type DocumentReference,
  defineCrossStoreUpdate,
  defineProjection,
  type Image,
  type InputOf,
  type Json,
  type MongoReader,
  type PostgresClient,
  type Refuse,
} from 'twinwrite';
import { z } from 'zod';
import { expectType } from './expect-type';

/** A schema whose input and output differ: a default, a transform, something optional. */
const schema = z.strictObject({
  orderId: z.uuid(),
  quantity: z.int().default(1),
  due: z.iso.datetime().transform((text) => new Date(text)),
  note: z.string().optional(),
});

/** What a caller gives. */
interface Given {
  orderId: string;
  quantity?: number | undefined;
  due: string;
  note?: string | undefined;
}

/** What the callbacks get: defaults and transforms are applied. */
interface Parsed {
  orderId: string;
  quantity: number;
  due: Date;
  note?: string | undefined;
}

interface Total {
  total: string;
  lines: number[];
}

declare const given: InputOf<typeof schema>;
expectType<Given>()({ ...given });

const orders = defineProjection({
  collection: 'orders',
  image: async ({ postgres, ids }) => {
    expectType<PostgresClient>()(postgres);
    expectType<readonly string[]>()(ids);
    const { rows } = await postgres.query<{ _id: string; total: string }>('select 1', [ids]);
    return rows;
  },
});
expectType<DocumentReference>()(orders.document('1'));
expectType<Promise<readonly Image[]>>()(
  orders.image({ postgres: {} as unknown as PostgresClient, ids: [] }),
);

export const projected = defineCrossStoreUpdate({
  name: 'projected',
  input: schema,
  token: (input) => {
    expectType<Parsed>()({ ...input });
    return input.orderId;
  },
  entities: (input) => {
    expectType<Parsed>()({ ...input });
    return [`order:${input.orderId}`];
  },
  precheck: async ({ postgres, mongo, input, refuse }) => {
    expectType<PostgresClient>()(postgres);
    expectType<MongoReader>()(mongo);
    expectType<Parsed>()({ ...input });
    expectType<Refuse>()(refuse);
    const found = await mongo.collection<{ total: string }>('orders').findOne({ total: '1' });
    expectType<string | undefined>()(found?.total);
    // @ts-expect-error -- a precheck only reads.
    await mongo.collection('orders').insertOne({});
  },
  postgres: {
    apply: async ({ client, input, refuse }) => {
      expectType<PostgresClient>()(client);
      expectType<Parsed>()({ ...input });
      expectType<Refuse>()(refuse);
      if (input.quantity > 9) return refuse('too many', { most: 9 });
      return { total: String(input.quantity), lines: [input.quantity] };
    },
    undo: async ({ client, input, result }) => {
      expectType<PostgresClient>()(client);
      expectType<Parsed>()({ ...input });
      expectType<Total>()({ ...result });
    },
  },
  mongo: {
    project: (input) => {
      expectType<Parsed>()({ ...input });
      return [orders.document(input.orderId)];
    },
  },
});

export const transacted = defineCrossStoreUpdate({
  name: 'transacted',
  input: schema,
  token: (input) => input.orderId,
  postgres: {
    apply: async ({ input }) => ({ total: '1', lines: [input.quantity] }),
    undo: async ({ result }) => expectType<Total>()({ ...result }),
  },
  mongo: {
    transaction: {
      apply: async ({ db, session, input, result, refuse }) => {
        expectType<Db>()(db);
        expectType<ClientSession>()(session);
        expectType<Parsed>()({ ...input });
        expectType<Total>()({ ...result });
        expectType<Refuse>()(refuse);
      },
      undo: async ({ db, session, input, result }) => {
        expectType<Db>()(db);
        expectType<ClientSession>()(session);
        expectType<Parsed>()({ ...input });
        expectType<Total>()({ ...result });
      },
    },
  },
});

interface Tree {
  readonly name?: string;
  readonly children: readonly Tree[];
}

const rest = { input: schema, token: ({ orderId }: Parsed) => orderId };

/**
 * Whatever is the same after JSON may be a result: nothing, a primitive, an interface without an
 * index signature, a type that contains itself, `Json` itself.
 */
export const results = [
  defineCrossStoreUpdate({
    ...rest,
    name: 'nothing',
    postgres: {
      apply: async () => {},
      undo: async ({ result }) => expectType<void>()(result),
    },
    mongo: { project: () => [] },
  }),
  defineCrossStoreUpdate({
    ...rest,
    name: 'onlyRefused',
    postgres: { apply: async ({ refuse }) => refuse('never') },
    mongo: { project: () => [] },
  }),
  defineCrossStoreUpdate({
    ...rest,
    name: 'interface',
    postgres: {
      apply: async (): Promise<Tree> => ({ children: [] }),
      undo: async ({ result }) => expectType<Tree>()(result),
    },
    mongo: { project: () => [] },
  }),
  defineCrossStoreUpdate({
    ...rest,
    name: 'json',
    postgres: {
      apply: async (): Promise<Json> => [1, 'two', null],
      undo: async ({ result }) => expectType<Json>()(result),
    },
    mongo: { project: () => [] },
  }),
  defineCrossStoreUpdate({
    ...rest,
    name: 'rows',
    postgres: {
      apply: async ({ client }) => (await client.query<{ sku: string | null }>('select 1')).rows,
      undo: async ({ result }) => expectType<{ sku: string | null }[]>()(result),
    },
    mongo: { project: () => [] },
  }),
];

/**
 * The price of inference: the compiler reads from top to bottom, so that a callback above `apply`
 * gets a result that it cannot use, never one that is wrong.
 */
export const undoAboveApply = defineCrossStoreUpdate({
  ...rest,
  name: 'undoAboveApply',
  postgres: {
    undo: async ({ result }) => expectType<unknown>()(result),
    apply: async ({ input }) => ({ total: input.quantity }),
  },
  mongo: { project: () => [] },
});
