import type { DeleteStmt, InsertStmt, Node, OnConflictClause, UpdateStmt } from 'libpg-query';
import type { ExpressionCompiler } from './compile-expression';
import { type FromCompiler, Loops } from './compile-from';
import { lockOf, once, type Query, type SelectCompiler, tupleOf } from './compile-select';
import type { Schema } from './schema';
import { type Names, type Range, Scope } from './scope';
import { kindOf, open, refuse } from './syntax';

/**
 * INSERT, UPDATE and DELETE. Each returns the rows of its RETURNING; without one it returns as many
 * empty rows as it has changed.
 */
export class ChangeCompiler {
  constructor(
    private readonly schema: Schema,
    private readonly names: Names,
    private readonly expressions: ExpressionCompiler,
    private readonly from: FromCompiler,
    private readonly selects: () => SelectCompiler,
  ) {}

  compile(node: Node | undefined, scope: Scope): Query {
    const { InsertStmt, UpdateStmt, DeleteStmt } = open(node);
    if (InsertStmt !== undefined) return this.#insert(InsertStmt, scope);
    if (UpdateStmt !== undefined) return this.#update(UpdateStmt, scope);
    if (DeleteStmt !== undefined) return this.#delete(DeleteStmt, scope);
    return refuse(`statement ${kindOf(node)}`);
  }

  #insert(statement: InsertStmt, scope: Scope): Query {
    const { relation, cols, selectStmt, onConflictClause, returningList } = statement;
    const withs = this.selects().withs(statement.withClause, scope);
    const name = relation?.relname ?? '';
    const table = this.schema.table(name);
    const target: Range = {
      alias: relation?.alias?.aliasname ?? name,
      js: this.names.fresh('t'),
      columns: this.from.tableColumns(name),
    };
    const given = cols?.map((column) => open(column).ResTarget?.name ?? '');
    const source =
      selectStmt === undefined
        ? { js: 'return [{}];', columns: new Map<string, string>(), yields: false }
        : this.#source(selectStmt, scope);
    const wanted = given ?? table.columns.map((column) => column.name);
    const positions = [...source.columns.keys()];
    const fields = table.columns.map((column) => {
      const position = positions[wanted.indexOf(column.name)];
      return `${JSON.stringify(column.name)}: ${this.#fieldOf(name, column, position, scope)}`;
    });
    const rows = source.yields
      ? `(yield* (function* () { ${source.js} })())`
      : `(() => { ${source.js} })()`;
    const inner = new Scope(scope, scope.snapshot);
    inner.ranges.push(target);
    const returned = this.#returning(returningList, inner);
    const out = this.names.fresh('o');
    const mode = onConflictClause === undefined ? 'fail' : 'answer';
    const conflict =
      onConflictClause === undefined
        ? ''
        : `if (x.isConflict(${target.js})) { ${this.#onConflict(onConflictClause, name, target, scope)} }`;
    const js = `${withs.js} const ${out} = []; for (const a of ${rows}) { const n = { ${fields.join()} };
      let ${target.js} = yield* x.insert(${JSON.stringify(name)}, n, '${mode}'); ${conflict} ${out}.push(${returned.js}); } return ${out};`;
    return { js, columns: returned.columns, yields: true };
  }

  /** Positions and not names say which column gets what. */
  #source(node: Node, scope: Scope): Query {
    const select = open(node).SelectStmt;
    if (select?.valuesLists !== undefined || select?.targetList === undefined) {
      return this.selects().subquery(node, scope);
    }
    const targetList = select.targetList.map((target, index) => ({
      ResTarget: { ...open(target).ResTarget, name: `column${index + 1}` },
    }));
    return this.selects().subquery({ SelectStmt: { ...select, targetList } }, scope);
  }

  #fieldOf(
    table: string,
    column: { name: string; type: string; fallback?: Node; isSerial?: boolean },
    position: string | undefined,
    scope: Scope,
  ): string {
    const { name, fallback, isSerial } = column;
    const assigned = (js: string) =>
      `x.assign(${JSON.stringify(table)}, ${JSON.stringify(name)}, ${js})`;
    if (position !== undefined) return assigned(`a[${JSON.stringify(position)}]`);
    if (isSerial === true) return `x.nextval(${JSON.stringify(`${table}_${name}_seq`)})`;
    if (fallback === undefined) return 'null';
    return assigned(this.expressions.compile(fallback, scope).js);
  }

  #onConflict(clause: OnConflictClause, table: string, target: Range, scope: Scope): string {
    if (clause.action === 'ONCONFLICT_NOTHING') return 'continue;';
    const excluded: Range = { alias: 'excluded', js: 'n', columns: target.columns };
    const inner = new Scope(scope, scope.snapshot);
    inner.ranges.push(target, excluded);
    const changes = this.#assignments(clause.targetList, table, inner, target);
    const where =
      clause.whereClause === undefined
        ? ''
        : `if ((${this.expressions.compile(clause.whereClause, inner).js}) !== true) continue;`;
    const { js } = target;
    // The row may be gone by the time that it is locked: then the insert is tried again.
    return `let l = null; while (x.isConflict(${js}) && l === null) { l = yield* x.lockConflict(${js});
      ${js} = l ?? (yield* x.insert(${JSON.stringify(table)}, n, 'answer')); }
      if (l !== null) { ${where} ${js} = yield* x.update(${JSON.stringify(table)}, ${js}, ${changes}); }`;
  }

  #assignments(
    list: readonly Node[] | undefined,
    table: string,
    scope: Scope,
    target: Range,
  ): string {
    const fields = (list ?? []).map((node) => {
      const { name = '', val, indirection } = open(node).ResTarget ?? {};
      if (indirection !== undefined || open(val).MultiAssignRef !== undefined) {
        refuse('assignment to several columns');
      }
      const type = target.columns.get(name) ?? refuse(`column ${table}.${name}`);
      const value = this.expressions.convert(this.expressions.compile(val, scope), type);
      return `${JSON.stringify(name)}: ${value.js}`;
    });
    return `{ ${fields.join()} }`;
  }

  #update(statement: UpdateStmt, scope: Scope): Query {
    const withs = this.selects().withs(statement.withClause, scope);
    const name = statement.relation?.relname ?? '';
    const found = this.#matches(
      statement.relation?.alias?.aliasname ?? name,
      name,
      statement.fromClause ?? [],
      statement.whereClause,
      scope,
    );
    const { target, inner } = found;
    const changes = this.#assignments(statement.targetList, name, inner, target);
    const returned = this.#returning(statement.returningList, inner);
    const out = this.names.fresh('o');
    const js = `${withs.js} const ${out} = []; ${found.js} ${target.js} = yield* x.update(${JSON.stringify(name)}, ${target.js}, ${changes});
      ${out}.push(${returned.js}); } return ${out};`;
    return { js, columns: returned.columns, yields: true };
  }

  #delete(statement: DeleteStmt, scope: Scope): Query {
    const withs = this.selects().withs(statement.withClause, scope);
    const name = statement.relation?.relname ?? '';
    const found = this.#matches(
      statement.relation?.alias?.aliasname ?? name,
      name,
      statement.usingClause ?? [],
      statement.whereClause,
      scope,
    );
    const returned = this.#returning(statement.returningList, found.inner);
    const out = this.names.fresh('o');
    const js = `${withs.js} const ${out} = []; ${found.js} x.delete(${found.target.js}); ${out}.push(${returned.js}); } return ${out};`;
    return { js, columns: returned.columns, yields: true };
  }

  /** Opens a loop over the target's rows that match, each locked and looked at again. */
  #matches(
    alias: string,
    table: string,
    others: readonly Node[],
    where: Node | undefined,
    scope: Scope,
  ): { js: string; target: Range; inner: Scope } {
    const inner = new Scope(scope, scope.snapshot);
    const target: Range = {
      alias,
      js: this.names.fresh('r'),
      columns: this.from.tableColumns(table),
      table,
    };
    inner.ranges.push(target);
    const loops = new Loops();
    loops.open(target.js, `x.scan(${JSON.stringify(table)}, ${scope.snapshot})`);
    for (const item of others) this.from.compile(item, inner, loops);
    const condition = where === undefined ? 'true' : this.expressions.compile(where, inner).js;
    loops.js.push(`if ((${condition}) !== true) continue;`);
    const tuples = inner.ranges.map(({ js }) => js);
    const rows = this.names.fresh('k');
    const conditions = [...loops.conditions, condition];
    // A row that matches more than once is changed once.
    const js = `const ${rows} = new Map(); ${once(loops, `if (!${rows}.has(${target.js})) ${rows}.set(${target.js}, [${tuples.join()}]);`)}
      for (let [${tuples.join()}] of ${rows}.values()) { ${lockOf(target, 'wait', conditions)}`;
    return { js, target, inner };
  }

  #returning(
    list: readonly Node[] | undefined,
    scope: Scope,
  ): { js: string; columns: ReadonlyMap<string, string> } {
    const targets = this.selects().targets(list, scope);
    return {
      js: tupleOf(targets),
      columns: new Map(targets.map(({ name, code }) => [name, code.type ?? 'unknown'])),
    };
  }
}
