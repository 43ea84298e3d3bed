/**
 * Goal: a definition that cannot work is refused when it is made, and the error says what to
 * change. Method: a table of mistakes, as plain JavaScript would make them.
 */
import { describe, expect, test } from '@jest/globals';
import { z } from 'zod';
import { defineCrossStoreUpdate } from '../../src/domain/definition';
import { defineProjection, entityKeyOf } from '../../src/domain/projection';

const projection = defineProjection({ collection: 'orders', image: async () => [] });

const valid = {
  name: 'placeOrder',
  input: z.strictObject({ id: z.string() }),
  token: (input: { id: string }) => input.id,
  postgres: { apply: async () => ({}), undo: async () => {} },
  mongo: { project: () => [projection.document('1')] },
};

describe('defineCrossStoreUpdate', () => {
  test.each<[string, object, RegExp]>([
    ['no name', { name: undefined }, /name begins with a letter/],
    ['a name with a slash', { name: 'a/b' }, /name begins with a letter/],
    ['a name of 101 characters', { name: 'a'.repeat(101) }, /name begins with a letter/],
    ['no schema', { input: {} }, /zod 4 schema/],
    ['no token', { token: 'id' }, /`token` is a function/],
    ['entities that are a list', { entities: ['a'] }, /`entities` is a function/],
    ['a precheck that is no function', { precheck: true }, /`precheck` is a function/],
    ['no apply', { postgres: {} }, /`postgres.apply`/],
    ['no postgres', { postgres: undefined }, /`postgres.apply`/],
    [
      'an undo that is no function',
      { postgres: { ...valid.postgres, undo: true } },
      /`postgres.undo`/,
    ],
    ['no mongo', { mongo: undefined }, /`mongo` is either/],
    [
      'both forms',
      { mongo: { ...valid.mongo, transaction: { apply: () => {} } } },
      /`mongo` is either/,
    ],
    ['a timeout in seconds', { legTimeoutMillis: 4 }, /between 1000 and 60000/],
    [
      'an undo in MongoDB alone',
      {
        postgres: { apply: valid.postgres.apply },
        mongo: { transaction: { apply: () => {}, undo: () => {} } },
      },
      /needs a `postgres.undo`/,
    ],
  ])('%s is refused', (_name, mistake, problem) => {
    const define = () => defineCrossStoreUpdate({ ...valid, ...mistake });
    expect(define).toThrow(problem);
    expect(define).toThrow(expect.objectContaining({ code: 'InvalidDefinition' }));
  });

  test('nothing at all is refused as clearly', () => {
    expect(() => defineCrossStoreUpdate(null as never)).toThrow(/pass one object/);
    expect(() => defineProjection(undefined as never)).toThrow(/pass one object/);
  });

  test('what is valid is frozen, and knows its form and whether it can be undone', () => {
    const definition = defineCrossStoreUpdate(valid);
    expect(definition).toMatchObject({
      form: 'projection',
      undoable: true,
      legTimeoutMillis: 4_000,
    });
    expect(Object.isFrozen(definition)).toBe(true);
  });
});

describe('defineProjection', () => {
  test.each<[string, object, RegExp]>([
    ['no collection', { collection: '' }, /`collection` begins/],
    ['a system collection', { collection: 'system.users' }, /neither with "system."/],
    ['a collection of ours', { collection: 'twinwrite_ledger' }, /neither with/],
    ['no image', { image: undefined }, /`image` is a function/],
    ['owning _id', { owns: ['_id'] }, /`owns` lists/],
    ['owning our stamp', { owns: ['_tw'] }, /`owns` lists/],
    ['owning a path', { owns: ['a.b'] }, /`owns` lists/],
    ['owning nothing', { owns: [] }, /`owns` lists/],
  ])('%s is refused', (_name, mistake, problem) => {
    const options = { collection: 'orders', image: async () => [], ...mistake };
    expect(() => defineProjection(options)).toThrow(problem);
  });

  test('a document is named by its collection and id', () => {
    expect(entityKeyOf(projection.document('a/b'))).toBe('orders/a/b');
    expect(() => projection.document('')).toThrow(/1 to 400 characters/);
    expect(() => projection.document(7 as never)).toThrow(/1 to 400 characters/);
    // An id is made of an input, and must not make the definition wait for a deploy.
    expect(() => projection.document('i'.repeat(401))).toThrow(
      expect.objectContaining({ code: 'InvalidInput' }),
    );
  });
});
