import type { Node } from 'libpg-query';
import type { Compiler } from './compiler';
import { parseBlock, type Statement } from './plpgsql';
import type { Schema, SqlFunction } from './schema';
import { type Names, Scope, type Variable } from './scope';
import { open, parse, parseExpression, refuse } from './syntax';

/** Makes of a function of the schema the source of a JavaScript generator. */
export class FunctionCompiler {
  readonly #variables = new Map<string, Variable>();

  constructor(
    private readonly schema: Schema,
    private readonly names: Names,
    private readonly compiler: Compiler,
    private readonly called: SqlFunction,
  ) {
    for (const { name, type } of called.parameters) this.#declare(name, type);
  }

  compile(): string {
    if (this.called.unknown !== undefined) refuse(this.called.unknown);
    const parameters = ['x', ...this.called.parameters.map(({ name }) => this.#js(name))];
    const body = this.called.language === 'sql' ? this.#sql() : this.#block();
    return `return function* (${parameters.join()}) { ${body} };`;
  }

  #declare(name: string, type: string): string {
    const js = `v_${name}`;
    this.#variables.set(name, { js, type });
    return js;
  }

  #js(name: string): string {
    return this.#variables.get(name)?.js ?? refuse(`variable ${name}`);
  }

  #scope(snapshot = this.names.fresh('s')): Scope {
    return new Scope(undefined, snapshot, this.#variables, this.called.name);
  }

  /** The answer is what the last statement returns. */
  #sql(): string {
    const statements = parse(this.called.body);
    const run = statements.map((statement) => this.#rows(statement));
    const last = run.at(-1) ?? refuse('function without a statement');
    const { returns, isSet } = this.called;
    const [column, ...others] = [...last.columns.keys()];
    const names = [...last.columns.keys()];
    const fields = this.schema
      .columnsOf(returns)
      ?.map(({ name }, index) => [name, names[index]].map((each) => JSON.stringify(each)));
    const isRow = fields !== undefined && others.length > 0;
    const value = (row: string) =>
      isRow
        ? `({ ${fields.map(([to, from]) => `${to}: ${row}[${from}]`).join()} })`
        : `V.coerce(${row}[${JSON.stringify(column)}], ${JSON.stringify(returns)})`;
    const answer = isSet
      ? `return rows.map((row) => ${value('row')});`
      : `return rows.length === 0 ? null : ${value('rows[0]')};`;
    const js = run.map(({ js: each }) => each).join(' ');
    return `let rows; ${js} ${returns === 'void' ? 'return null;' : answer}`;
  }

  #block(): string {
    const { declarations, statements } = parseBlock(this.called.body);
    this.#variables.set('found', { js: 'found', type: 'boolean' });
    const declared = declarations.map(({ name, type: written, initial }) => {
      const type = this.compiler.typeNamed(written);
      const value =
        initial === undefined ? this.#empty(type) : this.#expression(initial, type, this.#scope());
      return `let ${this.#declare(name, type)} = ${value};`;
    });
    return `let found = false; let rowCount = 0; let rows; ${declared.join(' ')} ${this.#all(statements)} return null;`;
  }

  #empty(type: string): string {
    const columns = this.schema.composites.get(type);
    if (columns === undefined) return 'null';
    return `{ ${columns.map(({ name }) => `${JSON.stringify(name)}: null`).join()} }`;
  }

  #all(statements: readonly Statement[]): string {
    return statements.map((statement) => this.#statement(statement)).join('\n');
  }

  #statement(statement: Statement): string {
    const scope = this.#scope();
    switch (statement.kind) {
      case 'nothing':
        return '';
      case 'if': {
        const branches = statement.branches.map(({ condition, body }) => {
          const test = this.#expression(condition, 'boolean', scope);
          return `if ((${test}) === true) { ${this.#all(body)} }`;
        });
        return this.#withSnapshot(
          scope,
          `${branches.join(' else ')} else { ${this.#all(statement.otherwise)} }`,
        );
      }
      case 'assign': {
        const type = this.#typeOfTarget(statement.target);
        const value = this.#expression(statement.expression, type, scope);
        return this.#withSnapshot(scope, `${this.#target(statement.target)} = ${value};`);
      }
      case 'return': {
        const { returns } = this.called;
        const { expression } = statement;
        if (expression === undefined) return 'return null;';
        return this.#withSnapshot(scope, `return ${this.#expression(expression, returns, scope)};`);
      }
      case 'perform':
        return `${this.#rows(parse(statement.query)[0]).js} found = rows.length > 0;`;
      case 'rowCount':
        return `${this.#js(statement.target)} = rowCount;`;
      case 'raise':
        return `throw x.raise(${JSON.stringify(statement.code)}, ${JSON.stringify(statement.message)});`;
      case 'sql': {
        const { js, columns } = this.#rows(parse(statement.query)[0]);
        const assigned = this.#into(statement.into, [...columns.keys()]);
        return `${js} rowCount = rows.length; found = rowCount > 0; ${assigned}`;
      }
    }
  }

  #withSnapshot(scope: Scope, js: string): string {
    return js.includes(scope.snapshot) ? `const ${scope.snapshot} = x.snapshot(); ${js}` : js;
  }

  #rows(node: Node | undefined): { js: string; columns: ReadonlyMap<string, string> } {
    const scope = this.#scope();
    const query = this.compiler.query(node, scope);
    const js = `if (x.isStepwise()) yield 'boundary'; { const ${scope.snapshot} = x.snapshot(); rows = yield* (function* () { ${query.js} })(); }`;
    return { js, columns: query.columns };
  }

  /** A row that is not there sets everything to null. */
  #into(targets: readonly string[], columns: readonly string[]): string {
    const [only] = targets;
    const type = only === undefined ? '' : this.#typeOfTarget(only);
    const fields = this.schema.columnsOf(type);
    if (targets.length === 1 && only !== undefined && fields !== undefined) {
      const tuple = fields.map(
        ({ name }, index) => `${JSON.stringify(name)}: rows[0][${JSON.stringify(columns[index])}]`,
      );
      return `${this.#target(only)} = found ? { ${tuple.join()} } : ${this.#empty(type)};`;
    }
    return targets
      .map((target, index) => {
        const value = `(found ? rows[0][${JSON.stringify(columns[index])}] : null)`;
        const of = this.#typeOfTarget(target);
        return `${this.#target(target)} = V.coerce(${value}, ${JSON.stringify(of)});`;
      })
      .join(' ');
  }

  #target(target: string): string {
    const [name = '', field] = target.split('.');
    const js = this.#js(name);
    return field === undefined ? js : `${js}[${JSON.stringify(field)}]`;
  }

  #typeOfTarget(target: string): string {
    const [name = '', field] = target.split('.');
    const { type } = this.#variables.get(name) ?? refuse(`variable ${target}`);
    if (field === undefined) return type;
    const column = this.schema.columnsOf(type)?.find((candidate) => candidate.name === field);
    return column?.type ?? refuse(`variable ${target}`);
  }

  #expression(text: string, type: string, scope: Scope): string {
    const node = parseExpression(text);
    const { js } = this.compiler.typed(node, type, scope);
    // A value, and not the variable that has it: the next assignment to a field must not show there.
    const isVariable = open(node).ColumnRef !== undefined;
    return isVariable && this.schema.columnsOf(type) !== undefined ? `{ ...${js} }` : js;
  }
}
