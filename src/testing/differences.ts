import { ONLY, type Row, type TableState } from './table-state';

/** Whether a column of a table or collection is left out of a comparison. */
export type Ignores = (table: string, column: string) => boolean;

/** Stands for every column, where a whole table is ignored. */
const WHOLE = '*';

/** What the two sides of a comparison are called: `100 before the update, 98 after its undo`. */
export interface Sides {
  readonly before: string;
  readonly after: string;
}

/**
 * Tells what is not the same in two states of the stores: rows that came, that went, and columns
 * that changed, each in a line that names the row by its key. An empty list means equal.
 */
export function findDifferences(
  before: readonly TableState[],
  after: readonly TableState[],
  sides: Sides,
  ignores: Ignores,
): string[] {
  return pairsOf(before, after)
    .filter(([table]) => !ignores(table.name, WHOLE))
    .flatMap(([table, old, young]) => findInTable(table, old, young, sides, ignores));
}

/**
 * The columns whose values differ between two runs that nothing disturbed: clocks and random
 * values. A third run differs there too, and rightly.
 */
export function findVolatile(
  first: readonly TableState[],
  second: readonly TableState[],
  ignores: Ignores,
): Ignores {
  const found = new Set<string>();
  for (const [table, old, young] of pairsOf(first, second)) {
    const paired = pairRows(
      table.key,
      old.map(leaving(table, ignores)),
      young.map(leaving(table, ignores)),
    );
    const byContent = pairByContent(table.key, paired);
    for (const [one, other] of [...paired.pairs, ...byContent]) {
      for (const column of columnsThatDiffer(one, other)) found.add(`${table.name}.${column}`);
    }
  }
  return (table, column) => ignores(table, column) || found.has(`${table}.${column}`);
}

type Pair = readonly [Row, Row];

interface PairedRows {
  readonly pairs: readonly Pair[];
  readonly removed: readonly Row[];
  readonly added: readonly Row[];
}

/** A collection may be there on one side only, which is the same as empty. */
function pairsOf(
  before: readonly TableState[],
  after: readonly TableState[],
): [TableState, readonly Row[], readonly Row[]][] {
  const titles = [...new Set([...before, ...after].map(({ title }) => title))];
  return titles.flatMap((title) => {
    const old = before.find((table) => table.title === title);
    const young = after.find((table) => table.title === title);
    const table = old ?? young;
    return table === undefined ? [] : [[table, old?.rows ?? [], young?.rows ?? []]];
  });
}

function findInTable(
  table: TableState,
  before: readonly Row[],
  after: readonly Row[],
  sides: Sides,
  ignores: Ignores,
): string[] {
  const left = leaving(table, ignores);
  const { pairs, removed, added } = pairRows(table.key, before.map(left), after.map(left));
  const label = (row: Row) => [table.title, ...partsOf(table.key, row)].join(', ');
  return [
    ...removed.map((row) => `${label(row)}: there ${sides.before}, but not ${sides.after}`),
    ...added.map((row) => `${label(row)}: not there ${sides.before}, but ${sides.after}`),
    ...pairs.flatMap(([old, young]) =>
      columnsThatDiffer(old, young).map((column) => {
        const [was, is] = textsOf(old.get(column), young.get(column));
        return `${label(old)}: ${column} is ${was} ${sides.before}, ${is} ${sides.after}`;
      }),
    ),
  ];
}

function leaving({ name }: TableState, ignores: Ignores): (row: Row) => Row {
  return (row) => new Map([...row].filter(([column]) => !ignores(name, column)));
}

/** By key; where a part of the key is ignored, by the whole row. Equal rows are told apart by count. */
function pairRows(
  key: readonly string[],
  before: readonly Row[],
  after: readonly Row[],
): PairedRows {
  const left = new Map<string, Row[]>();
  for (const row of after) {
    const identity = identityOf(key, row);
    left.set(identity, [...(left.get(identity) ?? []), row]);
  }
  const pairs: Pair[] = [];
  const removed: Row[] = [];
  for (const row of before) {
    const match = left.get(identityOf(key, row))?.shift();
    if (match === undefined) removed.push(row);
    else pairs.push([row, match]);
  }
  return { pairs, removed, added: [...left.values()].flat() };
}

/** Rows whose very key is random are paired by what else they hold. */
function pairByContent(key: readonly string[], { removed, added }: PairedRows): Pair[] {
  if (removed.length !== added.length) return [];
  const content = (row: Row) =>
    textOfRow(new Map([...row].filter(([column]) => !key.includes(column))));
  const sorted = (rows: readonly Row[]) =>
    rows.toSorted((one, other) => (content(one) < content(other) ? -1 : 1));
  const others = sorted(added);
  return sorted(removed).flatMap((row, index) => {
    const other = others[index];
    return other === undefined ? [] : [[row, other] as const];
  });
}

function identityOf(key: readonly string[], row: Row): string {
  const isWhole = key.length > 0 && key.every((column) => row.has(column));
  return isWhole ? JSON.stringify(key.map((column) => row.get(column))) : textOfRow(row);
}

function textOfRow(row: Row): string {
  return JSON.stringify([...row.keys()].sort().map((column) => [column, row.get(column)]));
}

function columnsThatDiffer(one: Row, other: Row): string[] {
  return [...new Set([...one.keys(), ...other.keys()])].filter(
    (column) => one.get(column) !== other.get(column),
  );
}

/** What tells a row from the others; nothing where there is only one. */
function partsOf(key: readonly string[], row: Row): string[] {
  const isKeyed = key.length > 0 && key.every((column) => row.has(column));
  const columns = isKeyed ? key.filter((column) => column !== ONLY) : [...row.keys()];
  return columns.map((column) => `${column} = ${textOf(row.get(column))}`);
}

const MAX_TEXT_CHARACTERS = 120;

/** How much of two long values is told before they begin to differ. */
const MAX_COMMON_CHARACTERS = 40;

type Value = string | null | undefined;

/** Two values that differ, both from shortly before the first difference on. */
function textsOf(one: Value, other: Value): [string, string] {
  let common = 0;
  while (common < (one?.length ?? 0) && one?.[common] === other?.[common]) common += 1;
  const isLong = Math.max(one?.length ?? 0, other?.length ?? 0) > MAX_TEXT_CHARACTERS;
  const from = isLong ? Math.max(0, common - MAX_COMMON_CHARACTERS) : 0;
  return [textOf(one, from), textOf(other, from)];
}

function textOf(value: Value, from = 0): string {
  if (value === undefined) return 'absent';
  if (value === null) return 'null';
  const text = value.slice(from, from + MAX_TEXT_CHARACTERS).toWellFormed();
  return `${from > 0 ? '…' : ''}${text}${from + MAX_TEXT_CHARACTERS < value.length ? '…' : ''}`;
}
