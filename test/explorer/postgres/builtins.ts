import type { Code } from './scope';
import { refuse } from './syntax';

/** The helper of `values.ts` that an operator is, and the type of what it makes. */
export const OPERATORS: Readonly<
  Record<string, readonly [helper: string, type: string | undefined]>
> = {
  '+': ['add', undefined],
  '-': ['subtract', undefined],
  '*': ['multiply', undefined],
  '^': ['power', 'numeric'],
  '||': ['concatenate', undefined],
  '=': ['equals', 'boolean'],
  '<>': ['differs', 'boolean'],
  '<': ['below', 'boolean'],
  '<=': ['atMost', 'boolean'],
  '>': ['above', 'boolean'],
  '>=': ['atLeast', 'boolean'],
};

type Builtin = (args: readonly Code[]) => readonly [js: string, type: string | undefined];

/** PostgreSQL's own functions, as JavaScript of their arguments. */
export const BUILTINS: Readonly<Record<string, Builtin>> = {
  now: () => ['x.now()', 'timestamptz'],
  nextval: ([name]) => [`x.nextval(${name?.js})`, 'bigint'],
  cardinality: ([items]) => [`(${items?.js} === null ? null : ${items?.js}.length)`, 'int'],
  floor: ([number]) => [`V.onPresent(${number?.js}, Math.floor)`, 'numeric'],
  // Of an interval, in seconds: `extract(epoch from …)`.
  extract: ([field, from]) =>
    field?.js === '"epoch"'
      ? [`V.onPresent(${from?.js}, (n) => n / 1000)`, 'numeric']
      : refuse(`extract of ${field?.js}`),
  abs: ([number]) => [`Math.abs(${number?.js})`, undefined],
};
