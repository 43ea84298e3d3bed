import { randomUUID } from 'node:crypto';
import { defineCrossStoreUpdate } from 'twinwrite';
import { z } from 'zod';
import { projectionCarrier } from './carriers';
import { HAZARDS, inputPath } from './hazards';
import type { RawStart } from './raw-starts';

const carrier = projectionCarrier.name;

/** Its schema finds as many issues as the input has items. */
export const listed = defineCrossStoreUpdate({
  ...projectionCarrier,
  name: 'listed',
  input: z.strictObject({ id: z.string(), value: z.array(z.string()) }),
});

/** A request that our client would never make, and where it is refused. */
export interface RawRow {
  readonly name: string;
  /** The argument, as JSON text; none at all when undefined. */
  readonly text: string | undefined;
  readonly path: string;
  readonly id: string;
  readonly further?: Partial<RawStart['payloads'][number]>;
}

function row(name: string, text: string | undefined, path: string): RawRow {
  return { name, text, path, id: randomUUID() };
}

/** A request whose parts are good but for some, which are given as JSON text. */
export function wrong(
  name: string,
  parts: Readonly<Record<string, string | undefined>>,
  path: string,
) {
  const id = randomUUID();
  const good = {
    definition: JSON.stringify(carrier),
    token: JSON.stringify(id),
    input: JSON.stringify({ id, value: 1 }),
  };
  const members = Object.entries({ ...good, ...parts }).flatMap(([key, text]) =>
    text === undefined ? [] : [`${JSON.stringify(key)}: ${text}`],
  );
  return { name, text: `{${members.join(', ')}}`, path, id };
}

const text = JSON.stringify;
const inputOf = (value: string) => `{"id": "x", "value": ${value}}`;

const refusedHazards = HAZARDS.flatMap(({ name, text: value, refused }) =>
  value === undefined || refused === undefined
    ? []
    : [
        wrong(
          name,
          { input: inputOf(value) },
          refused.byWorkflow ? 'input' : inputPath(refused.path),
        ),
      ],
);

export const ROWS: readonly RawRow[] = [
  ...refusedHazards,
  row('no argument', undefined, ''),
  row('null', 'null', ''),
  row('a number', '7', ''),
  row('a string', '"projectionCarrier"', ''),
  row('an array', text([{ definition: carrier }]), ''),
  row('an empty object', '{}', 'definition'),
  row('a request behind __proto__', `{"__proto__": ${wrong('', {}, '').text}}`, 'definition'),
  { ...row('bytes', 'any bytes', 'definition'), further: { encoding: 'binary/plain' } },
  wrong('no definition', { definition: undefined }, 'definition'),
  wrong('a definition that is a number', { definition: '7' }, 'definition'),
  wrong('a definition that no name can be', { definition: '"a/b"' }, 'definition'),
  wrong(
    'a definition of 10,000 characters',
    { definition: text('d'.repeat(10_000)) },
    'definition',
  ),
  wrong('no token', { token: undefined }, 'token'),
  wrong('a token that is null', { token: 'null' }, 'token'),
  wrong('a token that is a number', { token: '7' }, 'token'),
  wrong('a token that is an operator', { token: '{"$ne": null}' }, 'token'),
  wrong('a token of 10,000 characters', { token: text('t'.repeat(10_000)) }, 'token'),
  wrong('a token with half a surrogate pair', { token: '"\\ud800"' }, 'token'),
  wrong('a token that is decomposed', { token: '"e\\u0301"' }, 'token'),
  wrong('no input', { input: undefined }, 'input'),
  wrong('an input that is null', { input: 'null' }, ''),
  wrong('an input that the schema refuses', { input: '{"id": 7, "value": 1}' }, 'id'),
  wrong('a leg timeout below every bound', { legTimeoutMillis: '-1' }, 'legTimeoutMillis'),
  wrong('a leg timeout of no time', { legTimeoutMillis: '0' }, 'legTimeoutMillis'),
  wrong('a leg timeout in words', { legTimeoutMillis: '"x"' }, 'legTimeoutMillis'),
  wrong('a leg timeout of thirty years', { legTimeoutMillis: '1e12' }, 'legTimeoutMillis'),
  wrong('a leg timeout that is null', { legTimeoutMillis: 'null' }, 'legTimeoutMillis'),
  wrong('entities that are a number', { entities: '7' }, 'entities'),
  wrong('entities that are an object', { entities: '{"length": 1}' }, 'entities'),
  wrong('entities that are no strings', { entities: '[1]' }, 'entities'),
  wrong('search attributes in words', { searchAttributes: '"yes"' }, 'searchAttributes'),
  wrong('a document id too long', { input: text({ id: 'i'.repeat(401), value: 1 }) }, 'documents'),
  wrong('5,000 levels', { input: `${'['.repeat(5_000)}${']'.repeat(5_000)}` }, 'input'),
  wrong('200,000 levels', { input: inputOf('['.repeat(200_000) + ']'.repeat(200_000)) }, 'input'),
  wrong('1.5 MB', { input: inputOf(text('x'.repeat(1_500_000))) }, 'input'),
  wrong(
    'numbers that grow to 4 MB',
    { input: inputOf(`[1e20${',1e20'.repeat(180_000)}]`) },
    'input',
  ),
  wrong(
    'an input with 50,000 issues',
    { definition: '"listed"', input: inputOf(`[1${',1'.repeat(50_000)}]`) },
    'value[0]',
  ),
];
