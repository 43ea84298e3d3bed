import type { Outcome } from 'twinwrite';
import type { Kinds } from './transfers';

/** What becomes of each shape of update. */
export type Expected = { readonly [Name in keyof Kinds]: Outcome['status'] };

export const REFUSED: Expected = {
  projection: 'refused',
  projectionOnly: 'refused',
  transaction: 'refused',
  transactionHalf: 'refused',
  transactionOnly: 'refused',
};

export const APPLIED: Expected = {
  projection: 'applied',
  projectionOnly: 'applied',
  transaction: 'applied',
  transactionHalf: 'applied',
  transactionOnly: 'applied',
};

/** What has a way back takes it. */
export const TAKEN_BACK: Expected = {
  ...APPLIED,
  projection: 'compensated',
  transaction: 'compensated',
  transactionHalf: 'compensated',
};
