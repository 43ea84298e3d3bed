import type { LockingClause, Node, SelectStmt, WithClause } from 'libpg-query';
import { type AggregateCalls, findAggregates } from './compile-aggregate';
import type { ChangeCompiler } from './compile-change';
import type { ExpressionCompiler } from './compile-expression';
import { type FromCompiler, Loops } from './compile-from';
import { type Code, columnCode, type Names, type Range, Scope } from './scope';
import { kindOf, nameOf, open, refuse, stringOf } from './syntax';

/** JavaScript that returns the rows of a query. */
export interface Query {
  readonly js: string;
  readonly columns: ReadonlyMap<string, string>;
  readonly yields: boolean;
}

interface Target {
  readonly name: string;
  readonly code: Code;
}

export class SelectCompiler {
  constructor(
    private readonly names: Names,
    private readonly expressions: ExpressionCompiler,
    private readonly from: FromCompiler,
    private readonly changes: () => ChangeCompiler,
  ) {}

  /** A query within another one, which sees the other's names. */
  subquery(node: Node | undefined, outer: Scope): Query {
    const select = open(node).SelectStmt ?? refuse(`query ${kindOf(node)}`);
    return this.compile(select, new Scope(outer, outer.snapshot));
  }

  compile(select: SelectStmt, scope: Scope): Query {
    const { js: before, yields } = this.withs(select.withClause, scope);
    const query = this.#body(select, scope);
    return { ...query, js: before + query.js, yields: yields || query.yields };
  }

  /** WITH: each is there once, before the rest. */
  withs(clause: WithClause | undefined, scope: Scope): { js: string; yields: boolean } {
    if (clause?.recursive === true) refuse('recursive query');
    let js = '';
    let yields = false;
    for (const node of clause?.ctes ?? []) {
      const { ctename = '', ctequery } = open(node).CommonTableExpr ?? {};
      const inner = new Scope(scope, scope.snapshot);
      const query =
        open(ctequery).SelectStmt === undefined
          ? this.changes().compile(ctequery, inner)
          : this.subquery(ctequery, scope);
      const rows = this.names.fresh('c');
      js += query.yields
        ? `const ${rows} = yield* (function* () { ${query.js} })();`
        : `const ${rows} = (() => { ${query.js} })();`;
      yields ||= query.yields;
      scope.withs.set(ctename, { js: rows, columns: query.columns });
    }
    return { js, yields };
  }

  #body(select: SelectStmt, scope: Scope): Query {
    if (select.op !== undefined && select.op !== 'SETOP_NONE') return this.#union(select, scope);
    if (select.valuesLists !== undefined) return this.#values(select, scope);
    const loops = new Loops();
    for (const item of select.fromClause ?? []) this.from.compile(item, scope, loops);
    const where =
      select.whereClause === undefined
        ? undefined
        : this.expressions.compile(select.whereClause, scope);
    if (where !== undefined) loops.js.push(`if ((${where.js}) !== true) continue;`);
    const aggregates = findAggregates(select);
    if (aggregates.isGrouped) return this.#grouped(select, scope, loops, aggregates);
    const targets = this.targets(select.targetList, scope);
    const order = this.#order(select, targets, scope);
    const locking = open(select.lockingClause?.[0]).LockingClause;
    if (locking !== undefined) {
      const conditions = [...loops.conditions, ...(where === undefined ? [] : [where.js])];
      return this.#locked(select, scope, loops, { targets, order, conditions, locking });
    }
    const rows = this.names.fresh('o');
    const body = `${rows}.push({ row: ${tupleOf(targets)}, keys: [${order.map((o) => o.js).join()}] });`;
    // Without FROM there is no loop, and nothing to continue.
    const js = `const ${rows} = []; ${once(loops, body)} ${this.#finish(select, scope, rows, order)}`;
    return this.#query(js, targets, loops, [where, ...order]);
  }

  #finish(
    select: SelectStmt,
    scope: Scope,
    rows: string,
    order: readonly Order[],
    at: (name: string) => string = (name) => name,
  ): string {
    const distinct =
      select.distinctClause === undefined
        ? ''
        : `{ const seen = new Set(); const all = ${rows}.splice(0); for (const o of all) {
            const key = V.keyOf(Object.values(o.row)); if (!seen.has(key)) { seen.add(key); ${rows}.push(o); } } }`;
    const signs = order.map(({ isDescending }) => (isDescending ? -1 : 1));
    const sort = order.length === 0 ? '' : `x.sort(${rows}, ${JSON.stringify(signs)});`;
    const { limitCount, limitOffset } = select;
    const offset =
      limitOffset === undefined ? '0' : this.expressions.compile(limitOffset, scope).js;
    const limit = limitCount === undefined ? '' : this.expressions.compile(limitCount, scope).js;
    const slice =
      limit === '' && offset === '0'
        ? ''
        : `.slice(Number(${offset}), ${limit === '' ? 'undefined' : `Number(${offset}) + Number(${limit} ?? Infinity)`})`;
    return `${distinct} ${sort} return ${at(rows)}${slice}.map((o) => o.row);`;
  }

  /** Sorts first, then locks in that order, and looks again at what was changed meanwhile. */
  #locked(select: SelectStmt, scope: Scope, loops: Loops, parts: LockedParts): Query {
    const { targets, order, conditions, locking } = parts;
    const tuples = scope.ranges.map(({ js }) => js);
    const rows = this.names.fresh('k');
    const out = this.names.fresh('o');
    const collect = `${rows}.push({ at: [${tuples.join()}], keys: [${order.map((o) => o.js).join()}] });`;
    const signs = order.map(({ isDescending }) => (isDescending ? -1 : 1));
    const sort = order.length === 0 ? '' : `x.sort(${rows}, ${JSON.stringify(signs)});`;
    const wanted = (locking.lockedRels ?? []).map((node) => open(node).RangeVar?.relname);
    if (locking.waitPolicy === 'LockWaitError') refuse('NOWAIT');
    const mode = locking.waitPolicy === 'LockWaitSkip' ? 'skip' : 'wait';
    const locks = scope.ranges
      .filter(({ alias, table }) =>
        wanted.length === 0 ? table !== undefined : wanted.includes(alias),
      )
      .map((range) => lockOf(range, mode, conditions))
      .join('');
    const limit =
      select.limitCount === undefined
        ? ''
        : `if (${out}.length >= Number(${this.expressions.compile(select.limitCount, scope).js} ?? Infinity)) break;`;
    const js = `const ${rows} = []; ${once(loops, collect)} ${sort} const ${out} = [];
      for (const { at } of ${rows}) { ${limit} let [${tuples.join()}] = at; ${locks} ${out}.push(${tupleOf(targets)}); }
      return ${out};`;
    return { js, columns: columnsOf(targets), yields: true };
  }

  #grouped(select: SelectStmt, scope: Scope, loops: Loops, aggregates: AggregateCalls): Query {
    const keys = (select.groupClause ?? []).map((node) => this.expressions.compile(node, scope).js);
    const tuples = scope.ranges.map(({ js }) => js);
    const groups = this.names.fresh('g');
    const group = this.names.fresh('m');
    const collect = `x.group(${groups}, V.keyOf([${keys.join()}]), [${tuples.join()}]);`;
    const inner = new Scope(scope, scope.snapshot);
    const replaced = aggregates.replace(inner, (argument, filter, isDistinct, name) => {
      const value = argument === undefined ? plain('1') : this.expressions.compile(argument, scope);
      const kept =
        filter === undefined ? 'true' : `(${this.expressions.compile(filter, scope).js}) === true`;
      const all = `${group}.flatMap(([${tuples.join()}]) => { if (!(${kept})) return []; const v = ${value.js}; return v === null ? [] : [v]; })`;
      return `V.aggregates[${JSON.stringify(name)}](${isDistinct ? `x.distinct(${all})` : all})`;
    });
    const targets = this.targets(replaced.targetList, inner);
    const having =
      replaced.havingClause === undefined
        ? 'true'
        : `(${this.expressions.compile(replaced.havingClause, inner).js}) === true`;
    const order = this.#order(replaced, targets, inner);
    const out = this.names.fresh('o');
    const start = keys.length === 0 ? `new Map([['', []]])` : 'new Map()';
    if (keys.length === 0 && tuples.length > 0) loops.js.unshift();
    const js = `const ${groups} = ${start}; ${once(loops, keys.length === 0 ? `${groups}.get('').push([${tuples.join()}]);` : collect)} const ${out} = [];
      for (const ${group} of ${groups}.values()) { const [${tuples.join()}] = ${group}[0] ?? [];
        ${replaced.prelude} if (!(${having})) continue;
        ${out}.push({ row: ${tupleOf(targets)}, keys: [${order.map((o) => o.js).join()}] }); }
      ${this.#finish(select, scope, out, order)}`;
    return this.#query(js, targets, loops, order);
  }

  #union(select: SelectStmt, scope: Scope): Query {
    if (select.op !== 'SETOP_UNION') refuse(`set operation ${select.op}`);
    const sides = [select.larg, select.rarg].map((side) =>
      this.#body(side ?? {}, new Scope(scope, scope.snapshot)),
    );
    const [left, right] = sides;
    if (left === undefined || right === undefined) return refuse('union of nothing');
    const run = ({ js, yields }: Query) =>
      yields ? `(yield* (function* () { ${js} })())` : `(() => { ${js} })()`;
    const all = `[...${run(left)}, ...${run(right)}]`;
    const js = `return ${select.all === true ? all : `x.distinctRows(${all})`};`;
    if (select.sortClause !== undefined) refuse('sorted union');
    return { js, columns: left.columns, yields: left.yields || right.yields };
  }

  #values({ valuesLists }: SelectStmt, scope: Scope): Query {
    const lists = (valuesLists ?? []).map((node) =>
      (open(node).List?.items ?? []).map((item) => this.expressions.compile(item, scope)),
    );
    const columns = new Map(
      lists[0]?.map((code, index) => [`column${index + 1}`, code.type ?? 'unknown']),
    );
    const tuples = lists.map((list) =>
      tupleOf(list.map((code, index) => ({ name: `column${index + 1}`, code }))),
    );
    const yields = lists.flat().some((code) => code.yields);
    return { js: `return [${tuples.join()}];`, columns, yields };
  }

  targets(list: readonly Node[] | undefined, scope: Scope): Target[] {
    return (list ?? []).flatMap((node) => {
      const { name, val } = open(node).ResTarget ?? {};
      const reference = open(val).ColumnRef;
      const last = reference?.fields?.at(-1);
      if (reference !== undefined && open(last).A_Star !== undefined) {
        return this.#star(reference.fields?.slice(0, -1).map(stringOf) ?? [], scope);
      }
      return [{ name: name ?? impliedName(val), code: this.expressions.compile(val, scope) }];
    });
  }

  #star([alias]: readonly string[], scope: Scope): Target[] {
    return scope.ranges
      .filter((range) => alias === undefined || range.alias === alias)
      .flatMap((range) =>
        [...range.columns.keys()]
          .filter((column) => alias !== undefined || range.hidden?.has(column) !== true)
          .map((column) => ({ name: column, code: columnCode(range, column) })),
      );
  }

  #order(select: SelectStmt, targets: readonly Target[], scope: Scope): Order[] {
    return (select.sortClause ?? []).map((node) => {
      const { node: by, sortby_dir } = open(node).SortBy ?? {};
      const isDescending = sortby_dir === 'SORTBY_DESC';
      const ordinal = open(by).A_Const?.ival?.ival;
      const fields = open(by).ColumnRef?.fields;
      const named =
        fields?.length === 1
          ? targets.find(({ name }) => name === stringOf(fields[0]))?.code
          : undefined;
      const code =
        (ordinal === undefined ? named : targets[ordinal - 1]?.code) ??
        this.expressions.compile(by, scope);
      return { ...code, isDescending };
    });
  }

  #query(
    js: string,
    targets: readonly Target[],
    loops: Loops,
    others: readonly (Code | undefined)[],
  ): Query {
    const yields =
      loops.yields ||
      targets.some(({ code }) => code.yields) ||
      others.some((code) => code?.yields === true);
    return { js, columns: columnsOf(targets), yields };
  }
}

interface Order extends Code {
  readonly isDescending: boolean;
}

interface LockedParts {
  readonly targets: readonly Target[];
  readonly order: readonly Order[];
  readonly conditions: readonly string[];
  readonly locking: LockingClause;
}

const plain = (js: string): Code => ({ js, type: undefined, yields: false });

export const tupleOf = (targets: readonly Target[]): string =>
  `({ ${targets.map(({ name, code }) => `${JSON.stringify(name)}: ${code.js}`).join()} })`;

const columnsOf = (targets: readonly Target[]): ReadonlyMap<string, string> =>
  new Map(targets.map(({ name, code }) => [name, code.type ?? 'unknown']));

/** Without FROM there is one row. */
export const once = (loops: Loops, body: string): string =>
  loops.js.some((line) => line.startsWith('for'))
    ? `${loops.js.join(' ')} ${body} ${loops.end}`
    : `for (const one of [1]) { ${loops.js.join(' ')} ${body} }`;

export function lockOf(
  { js }: Pick<Range, 'js'>,
  mode: 'wait' | 'skip',
  conditions: readonly string[],
): string {
  const again = conditions.map((condition) => `if ((${condition}) !== true) continue;`).join('');
  return `{ const l = yield* x.lock(${js}, '${mode}'); if (l === null) continue; if (l !== ${js}) { ${js} = l; ${again} } }`;
}

function impliedName(node: Node | undefined): string {
  const { ColumnRef, FuncCall, TypeCast, CaseExpr, CoalesceExpr, SubLink, A_Indirection } =
    open(node);
  if (ColumnRef !== undefined) return nameOf(ColumnRef.fields);
  if (FuncCall !== undefined) return nameOf(FuncCall.funcname);
  if (TypeCast !== undefined) return impliedName(TypeCast.arg);
  if (A_Indirection !== undefined) return impliedName(A_Indirection.arg);
  if (CaseExpr !== undefined) return 'case';
  if (CoalesceExpr !== undefined) return 'coalesce';
  if (SubLink?.subLinkType === 'ARRAY_SUBLINK') return 'array';
  return '?column?';
}
