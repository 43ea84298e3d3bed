import type { Input, Kind } from './definitions';

/** One update of a scenario: what it is, and what it is given. */
export interface Update {
  readonly kind: Kind;
  readonly input: Input;
}

export interface Scenario {
  readonly name: string;
  readonly updates: readonly Update[];
}

const update = (
  kind: Kind,
  token: string,
  keys: string[],
  refusedBy?: Input['refusedBy'],
): Update => ({
  kind,
  input: { token, keys, ...(refusedBy === undefined ? {} : { refusedBy }) },
});

const one = (kind: Kind, keys: string[], refusedBy?: Input['refusedBy']): Scenario => ({
  name: [
    kind,
    ...(keys.length > 1 ? ['of two'] : []),
    ...(refusedBy ? [`refused by ${refusedBy}`] : []),
  ]
    .join(' ')
    .replaceAll(' ', '-'),
  updates: [update(kind, 'first', keys, refusedBy)],
});

/** Both forms, with a way back and without, and a refusal in each store. */
export const SINGLE: readonly Scenario[] = [
  one('free', ['a']),
  one('undoable', ['a']),
  one('undoable', ['a'], 'mongo'),
  one('both', ['a']),
  one('both', ['a'], 'mongo'),
  one('postgresOnly', ['a']),
  one('forward', ['a']),
  one('undoable', ['a'], 'postgres'),
  one('both', ['a'], 'definition'),
  one('owning', ['a']),
  one('free', ['a', 'b']),
  one('swallowing', ['a']),
  one('redeployed', ['a']),
];

const two = (name: string, first: Update, second: Update): Scenario => ({
  name,
  updates: [first, second],
});

/** Two updates that share an entity. */
export const PAIRS: readonly Scenario[] = [
  two(
    'undone-before-free',
    update('undoable', 'first', ['a'], 'mongo'),
    update('free', 'second', ['a']),
  ),
  two(
    'undone-before-forward',
    update('both', 'first', ['a'], 'mongo'),
    update('forward', 'second', ['a']),
  ),
  two('free-and-free', update('free', 'first', ['a']), update('free', 'second', ['a'])),
  two(
    'undoable-and-undoable',
    update('undoable', 'first', ['a']),
    update('undoable', 'second', ['a']),
  ),
  two('both-and-forward', update('both', 'first', ['a']), update('forward', 'second', ['a'])),
  two('crossed', update('both', 'first', ['a', 'b']), update('both', 'second', ['b', 'a'])),
];

export const SCENARIOS: readonly Scenario[] = [...SINGLE, ...PAIRS];
