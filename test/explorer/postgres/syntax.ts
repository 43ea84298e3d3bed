import { loadModule, type Node, parseSync, type RawStmt, type TypeName } from 'libpg-query';

type KindOf<Tagged> = Tagged extends unknown ? keyof Tagged : never;
type BodyOf<Tagged, Kind extends PropertyKey> =
  Tagged extends Readonly<Record<Kind, infer Body>> ? Body : never;

/** A node of PostgreSQL's own grammar, of whichever kind. */
type Opened = { readonly [Kind in KindOf<Node>]?: BodyOf<Node, Kind> };

/** Must have resolved once before anything is parsed. */
export async function loadParser(): Promise<void> {
  await loadModule();
}

/** PostgreSQL's own grammar reads it, whatever of it the model then knows. */
export function parse(text: string): Node[] {
  if (text.trim() === '') return [];
  const { stmts = [] } = parseSync(text) as { stmts?: RawStmt[] };
  return stmts.flatMap(({ stmt }) => stmt ?? []);
}

export function open(node: Node | undefined): Opened {
  return node ?? {};
}

export function kindOf(node: Node | undefined): string {
  return Object.keys(node ?? {})[0] ?? 'nothing';
}

/** What the model does not know it does not guess. */
export function refuse(what: string): never {
  throw new Error(`the model of PostgreSQL knows no ${what}`);
}

/** The expression of `select …`. */
export function parseExpression(text: string): Node {
  const [statement] = parse(`select ${text}`);
  const target = open(open(statement).SelectStmt?.targetList?.[0]).ResTarget?.val;
  return target ?? refuse(`expression like ${text}`);
}

/** The last part of a name: the model has one namespace. */
export function nameOf(names: readonly Node[] | undefined): string {
  return stringOf(names?.at(-1));
}

export function stringOf(node: Node | undefined): string {
  return open(node).String?.sval ?? refuse(`name like ${JSON.stringify(node)}`);
}

export function namesOf(names: readonly Node[] | undefined): string[] {
  return (names ?? []).map(stringOf);
}

const TYPES: Readonly<Record<string, string>> = {
  int2: 'int',
  int4: 'int',
  int8: 'bigint',
  integer: 'int',
  serial: 'int',
  bigserial: 'bigint',
  float8: 'numeric',
  bool: 'boolean',
  varchar: 'text',
  uuid: 'text',
};

export function typeOf(type: TypeName | undefined): string {
  const name = nameOf(type?.names);
  const base = TYPES[name] ?? name;
  return type?.arrayBounds === undefined ? base : `${base}[]`;
}
