/**
 * Goal: what cannot work does not compile. Method: one wrong use under each `@ts-expect-error`,
 * which is an error itself where the use compiles; nobody runs this file.
 */
import { defineCrossStoreUpdate, defineProjection } from 'twinwrite';
import { z } from 'zod';

const orders = defineProjection({ collection: 'orders', image: async () => [] });
const input = z.strictObject({ id: z.string(), due: z.coerce.date<string>() });
const token = ({ id }: { id: string }) => id;
const project = { project: ({ id }: { id: string }) => [orders.document(id)] };
const apply = async () => ({ total: '1' });

export const wrongParts = [
  // @ts-expect-error -- `mongo` is missing.
  defineCrossStoreUpdate({ name: 'a', input, token, postgres: { apply } }),
  // @ts-expect-error -- `token` is missing.
  defineCrossStoreUpdate({ name: 'a', input, postgres: { apply }, mongo: project }),
  // @ts-expect-error -- a leg has one form, and this has none.
  defineCrossStoreUpdate({ name: 'a', input, token, postgres: { apply }, mongo: {} }),
  defineCrossStoreUpdate({
    name: 'a',
    input,
    token,
    postgres: { apply },
    // @ts-expect-error -- a leg has one form, and this has both.
    mongo: { project: () => [], transaction: { apply: async () => {} } },
  }),
  defineCrossStoreUpdate({
    name: 'a',
    input,
    token,
    postgres: { apply },
    mongo: project,
    // @ts-expect-error -- the option is `legTimeoutMillis`.
    legTimeout: 1_000,
  }),
  // @ts-expect-error -- the input is a schema, not a type or a sample.
  defineCrossStoreUpdate({ name: 'a', input: {}, token, postgres: { apply }, mongo: project }),
  defineCrossStoreUpdate({
    name: 'a',
    input,
    // @ts-expect-error -- a token is a string.
    token: (given) => given.due,
    postgres: { apply },
    mongo: project,
  }),
  defineCrossStoreUpdate({
    name: 'a',
    input,
    token,
    // @ts-expect-error -- entities are strings.
    entities: (given) => [given.due],
    postgres: { apply },
    mongo: project,
  }),
  defineCrossStoreUpdate({
    name: 'a',
    input,
    token,
    postgres: { apply },
    // @ts-expect-error -- a document is named by its projection, not by its id alone.
    mongo: { project: (given) => [given.id] },
  }),
];

export const wrongCallbacks = [
  defineCrossStoreUpdate({
    name: 'b',
    input,
    token,
    postgres: {
      // @ts-expect-error -- the schema has no field `quantity`.
      apply: async ({ input: given }) => given.quantity,
    },
    mongo: project,
  }),
  defineCrossStoreUpdate({
    name: 'b',
    input,
    token,
    postgres: {
      // @ts-expect-error -- `apply` has no result yet.
      apply: async ({ result }) => result,
    },
    mongo: project,
  }),
  defineCrossStoreUpdate({
    name: 'b',
    input,
    token,
    postgres: {
      apply,
      // @ts-expect-error -- `apply` returned no `price`.
      undo: async ({ result }) => void result.price,
    },
    mongo: project,
  }),
  defineCrossStoreUpdate({
    name: 'b',
    input,
    token,
    postgres: {
      apply,
      // @ts-expect-error -- an undo cannot refuse.
      undo: async ({ refuse }) => refuse('no'),
    },
    mongo: project,
  }),
  defineCrossStoreUpdate({
    name: 'b',
    input,
    token,
    postgres: {
      // @ts-expect-error -- the transaction is Twinwrite's: there is nothing to release.
      apply: async ({ client }) => client.release(),
    },
    mongo: project,
  }),
];

export const wrongPrechecks = [
  defineCrossStoreUpdate({
    name: 'p',
    input,
    token,
    // @ts-expect-error -- the schema has no `colour`.
    precheck: async ({ input: given }) => void given.colour,
    postgres: { apply },
    mongo: project,
  }),
  defineCrossStoreUpdate({
    name: 'p',
    input,
    token,
    // @ts-expect-error -- it answers nothing: it refuses, or it returns.
    precheck: async () => false,
    postgres: { apply },
    mongo: project,
  }),
];

class Money {
  readonly cents = 1;
  plus(other: Money): number {
    return this.cents + other.cents;
  }
}

const mongo = project;
const rest = { name: 'c', input, token, mongo };

export const unrecordableResults = [
  // @ts-expect-error -- a Date comes back from JSON as a string.
  defineCrossStoreUpdate({ ...rest, postgres: { apply: async () => new Date() } }),
  // @ts-expect-error -- wherever it stands.
  defineCrossStoreUpdate({ ...rest, postgres: { apply: async () => [{ at: new Date() }] } }),
  // @ts-expect-error -- the schema makes `due` a Date.
  defineCrossStoreUpdate({ ...rest, postgres: { apply: async ({ input: given }) => given } }),
  // @ts-expect-error -- JSON knows no bigint.
  defineCrossStoreUpdate({ ...rest, postgres: { apply: async () => ({ total: 1n }) } }),
  // @ts-expect-error -- a Map comes back as an empty object.
  defineCrossStoreUpdate({ ...rest, postgres: { apply: async () => new Map([['a', 1]]) } }),
  // @ts-expect-error -- and so does a Set.
  defineCrossStoreUpdate({ ...rest, postgres: { apply: async () => ({ skus: new Set(['a']) }) } }),
  // @ts-expect-error -- JSON drops a function.
  defineCrossStoreUpdate({ ...rest, postgres: { apply: async () => () => 1 } }),
  // @ts-expect-error -- an instance comes back without its methods.
  defineCrossStoreUpdate({ ...rest, postgres: { apply: async () => new Money() } }),
  // @ts-expect-error -- bytes come back as an object of numbers.
  defineCrossStoreUpdate({ ...rest, postgres: { apply: async () => Buffer.from('a') } }),
];
