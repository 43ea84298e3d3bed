import type { JoinExpr, Node, RangeFunction, RangeSubselect, RangeVar } from 'libpg-query';
import type { ExpressionCompiler } from './compile-expression';
import type { SelectCompiler } from './compile-select';
import type { Schema } from './schema';
import type { Names, Range, Scope } from './scope';
import { kindOf, nameOf, open, refuse, stringOf } from './syntax';

/** The loops that FROM becomes: one inside the other, with conditions in between. */
export class Loops {
  readonly js: string[] = [];
  readonly conditions: string[] = [];
  yields = false;

  open(variable: string, items: string): void {
    this.js.push(`for (let ${variable} of ${items}) {`);
  }

  get end(): string {
    return '}'.repeat(this.js.filter((line) => line.startsWith('for')).length);
  }
}

export class FromCompiler {
  constructor(
    private readonly schema: Schema,
    private readonly names: Names,
    private readonly expressions: ExpressionCompiler,
    private readonly selects: () => SelectCompiler,
  ) {}

  /** Opens the loops of one item of FROM, and makes its names known to what comes after it. */
  compile(node: Node, scope: Scope, loops: Loops): void {
    const of = open(node);
    if (of.RangeVar !== undefined) return this.#relation(of.RangeVar, scope, loops);
    if (of.RangeFunction !== undefined) return this.#function(of.RangeFunction, scope, loops);
    if (of.RangeSubselect !== undefined) return this.#subselect(of.RangeSubselect, scope, loops);
    if (of.JoinExpr !== undefined) return this.#join(of.JoinExpr, scope, loops);
    return refuse(`FROM of a ${kindOf(node)}`);
  }

  #relation({ relname = '', alias }: RangeVar, scope: Scope, loops: Loops): void {
    const name = alias?.aliasname ?? relname;
    const js = this.names.fresh('r');
    const set = scope.with(relname);
    if (set !== undefined) {
      loops.open(js, set.js);
      scope.ranges.push({ alias: name, js, columns: set.columns });
      return;
    }
    const view = this.schema.views.get(relname);
    if (view !== undefined) return this.#rowsOf(view, name, [], scope, loops);
    loops.open(js, `x.scan(${JSON.stringify(relname)}, ${scope.snapshot})`);
    scope.ranges.push({ alias: name, js, columns: this.tableColumns(relname), table: relname });
  }

  tableColumns(table: string): ReadonlyMap<string, string> {
    return new Map(this.schema.table(table).columns.map(({ name, type }) => [name, type]));
  }

  #subselect({ subquery, alias }: RangeSubselect, scope: Scope, loops: Loops): void {
    const columns = (alias?.colnames ?? []).map(stringOf);
    this.#rowsOf(subquery, alias?.aliasname ?? '', columns, scope, loops);
  }

  #rowsOf(
    query: Node | undefined,
    alias: string,
    renamed: readonly string[],
    scope: Scope,
    loops: Loops,
  ): void {
    if (renamed.length > 0) refuse('columns renamed by an alias');
    const rows = this.selects().subquery(query, scope);
    const js = this.names.fresh('r');
    loops.open(
      js,
      rows.yields ? `(yield* (function* () { ${rows.js} })())` : `(() => { ${rows.js} })()`,
    );
    loops.yields ||= rows.yields;
    scope.ranges.push({ alias, js, columns: rows.columns });
  }

  #function({ functions, alias, ordinality }: RangeFunction, scope: Scope, loops: Loops): void {
    const [item, ...others] = functions ?? [];
    const call = open(open(item).List?.items?.[0]).FuncCall;
    if (others.length > 0 || call === undefined || ordinality === true) refuse('function in FROM');
    const name = nameOf(call?.funcname);
    const aliasName = alias?.aliasname ?? name;
    const columns = (alias?.colnames ?? []).map(stringOf);
    const js = this.names.fresh('r');
    if (name === 'unnest') {
      scope.ranges.push(this.#unnest(call?.args ?? [], aliasName, columns, js, scope, loops));
      return;
    }
    const { code, called } = this.expressions.callFunction(name, call?.args ?? [], scope);
    loops.yields = true;
    const composite = this.schema.columnsOf(called.returns);
    const rows = called.isSet ? code.js : `[${code.js}]`;
    const only = columns[0] ?? aliasName;
    const isScalar = composite === undefined;
    loops.open(js, isScalar ? `${rows}.map((v) => ({ ${JSON.stringify(only)}: v }))` : rows);
    const types = isScalar
      ? new Map([[only, called.returns]])
      : new Map(composite.map((column) => [column.name, column.type]));
    scope.ranges.push({ alias: aliasName, js, columns: types });
  }

  #unnest(
    args: readonly Node[],
    alias: string,
    given: readonly string[],
    js: string,
    scope: Scope,
    loops: Loops,
  ): Range {
    const arrays = args.map((arg) => this.expressions.compile(arg, scope));
    const columns = arrays.map((array, index) => {
      const name = given[index] ?? (arrays.length === 1 ? alias : `unnest${index}`);
      return [name, array.type?.replace('[]', '') ?? 'text'] as const;
    });
    const [first, ...rest] = arrays.map((array) => array.js);
    const tuple = columns.map(([name], index) =>
      index === 0 ? `${JSON.stringify(name)}: v` : `${JSON.stringify(name)}: ${rest[index - 1]}[i]`,
    );
    loops.yields ||= arrays.some(({ yields }) => yields);
    loops.open(js, `(${first} ?? []).map((v, i) => ({ ${tuple.join()} }))`);
    return { alias, js, columns: new Map(columns) };
  }

  #join({ jointype, larg, rarg, quals, usingClause }: JoinExpr, scope: Scope, loops: Loops): void {
    if (larg === undefined || rarg === undefined) refuse('join of nothing');
    this.compile(larg, scope, loops);
    const before = scope.ranges.length;
    const inner = new Loops();
    this.compile(rarg, scope, inner);
    const added = scope.ranges.splice(before);
    const using = (usingClause ?? []).map(stringOf);
    const conditions = using.map((column) => {
      const left = scope.resolve([column]);
      const right = added.find(({ columns }) => columns.has(column));
      return `V.equals(${left.js}, ${right?.js}[${JSON.stringify(column)}])`;
    });
    scope.ranges.push(...added.map((range) => ({ ...range, hidden: new Set(using) })));
    if (quals !== undefined) conditions.push(this.expressions.compile(quals, scope).js);
    const test = conditions.map((condition) => `(${condition}) === true`).join(' && ') || 'true';
    loops.yields ||= inner.yields;
    if (jointype === 'JOIN_INNER') {
      loops.js.push(...inner.js);
      loops.js.push(`if (!(${test})) continue;`);
      loops.conditions.push(test);
      return;
    }
    const [range, ...others] = added;
    if (jointype !== 'JOIN_LEFT' || range === undefined || others.length > 0) refuse('outer join');
    const { js } = range;
    const met = this.names.fresh('m');
    loops.js.push(
      `const ${met} = []; ${inner.js.join(' ')} if (${test}) ${met}.push(${js}); ${inner.end}
        if (${met}.length === 0) ${met}.push(null);`,
    );
    loops.js.push(`for (let ${js} of ${met}) {`);
    scope.ranges.splice(before, 1, {
      ...range,
      isNullable: true,
      hidden: new Set(using),
    });
  }
}
