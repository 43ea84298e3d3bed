/**
 * Goal: errors are data, and each says what to do. Method: every code of the union, with its
 * fields.
 */
import { describe, expect, test } from '@jest/globals';
import {
  type ErrorCode,
  type ErrorFields,
  isTwinwriteError,
  TwinwriteError,
} from '../../src/domain/errors';

const d = { definition: 'placeOrder' };
const t = { ...d, token: 'o-1' };

const FIELDS: { readonly [Code in ErrorCode]: ErrorFields[Code] } = {
  InvalidInput: { ...d, issues: [{ path: 'lines[0].sku', reason: 'is empty' }] },
  TokenReused: t,
  VersionConflict: {
    ...t,
    conflicts: [
      { document: 'orders/1', expected: '5', found: '6' },
      { document: 'orders/2', expected: null, found: '1' },
    ],
  },
  StillRunning: { ...t, timeoutMillis: 500 },
  Unavailable: { ...t, cause: 'not reachable' },
  UnknownUpdate: t,
  EndedWithoutOutcome: t,
  InvalidDefinition: { ...d, problem: 'its name is empty; give it one.' },
  UnknownDefinition: d,
  TransactionMisused: { ...d, problem: 'kept its client' },
  NotAdopted: { collection: 'orders', id: '1' },
  MongoAhead: { collection: 'orders', id: '1' },
  StoresStopped: { store: 'PostgreSQL', ticks: 30, since: '2026-01-01T00:00:00.000Z' },
  Parked: { ...t, reason: 'code 121' },
  InvalidConfiguration: { problem: 'Set DATABASE_URL.' },
  UnsuitableStore: {
    store: 'MongoDB',
    problem: 'it is a standalone server; start it with --replSet.',
  },
  UnsoundDefinition: {
    ...d,
    findings: [
      {
        code: 'UndoIncomplete',
        sample: 'inputs[0]',
        seen: ['stock: 2 before, 1 after'],
        meaning: 'something stays behind.',
        advice: 'take it back.',
      },
    ],
  },
};

describe.each(Object.keys(FIELDS) as ErrorCode[])('%s', (code) => {
  const error = new TwinwriteError(code, FIELDS[code]);

  test('is one or two clear sentences that contain its fields', () => {
    expect(error.message).toMatch(/^\S.*\.$/s);
    for (const field of Object.values(FIELDS[code])) {
      if (typeof field === 'string') expect(error.message).toContain(field);
    }
  });

  test('is told by its code, also across two copies of the package', () => {
    expect(isTwinwriteError(error, code)).toBe(true);
    expect(isTwinwriteError(error, code === 'Parked' ? 'InvalidInput' : 'Parked')).toBe(false);
    const ofAnotherCopy = Object.assign(new Error(error.message), {
      [Symbol.for('twinwrite.error')]: true,
      code,
    });
    expect(isTwinwriteError(ofAnotherCopy, code)).toBe(true);
    expect(isTwinwriteError(new Error('other'))).toBe(false);
  });
});

test('without a token, Unavailable says where to look', () => {
  expect(new TwinwriteError('Unavailable', { cause: 'not reachable' }).message).toContain(
    'TEMPORAL_ADDRESS',
  );
});
