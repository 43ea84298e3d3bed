import type { Node } from 'libpg-query';
import { makeFunction } from '../make-function';
import { ChangeCompiler } from './compile-change';
import { ExpressionCompiler } from './compile-expression';
import { FromCompiler } from './compile-from';
import { FunctionCompiler } from './compile-function';
import { type Query, SelectCompiler } from './compile-select';
import type { Execution } from './execution';
import type { Pause } from './rows';
import type { Schema, SqlFunction, Trigger } from './schema';
import { signatureOf } from './schema';
import { type Code, Names, Scope } from './scope';
import { kindOf, open, parse, parseExpression, refuse, typeOf } from './syntax';
import type { Tuple, Value } from './values';
import * as values from './values';

export type Running<Answer> = Generator<Pause, Answer>;

/** One statement that a client may send. */
export type Compiled =
  | { readonly kind: 'begin'; readonly isSnapshot: boolean; readonly isReadOnly: boolean }
  | { readonly kind: 'commit' | 'rollback' | 'set' }
  | {
      readonly kind: 'query';
      readonly command: string;
      readonly run: (x: Execution, parameters: readonly Value[]) => Running<Tuple[]>;
    };

export interface CompiledTrigger {
  readonly columns: readonly string[];
  readonly when: (changed: Tuple, old: Tuple) => boolean | null;
  readonly run: (x: Execution, changed: Tuple, old: Tuple) => Running<Tuple>;
}

type CompiledFunction = (x: Execution, ...args: Value[]) => Running<Value>;

/**
 * Makes JavaScript of SQL: of the very text that production runs, read by PostgreSQL's own grammar.
 * A construct that it does not know is refused, never guessed.
 */
export class Compiler {
  readonly #programs = new Map<string, readonly Compiled[]>();
  readonly #functions: Record<string, CompiledFunction> = {};
  readonly #names = new Names();
  readonly #expressions: ExpressionCompiler;
  readonly #selects: SelectCompiler;
  readonly #changes: ChangeCompiler;

  constructor(readonly schema: Schema) {
    const names = this.#names;
    const selects = () => this.#selects;
    this.#expressions = new ExpressionCompiler(schema, selects);
    const from = new FromCompiler(schema, names, this.#expressions, selects);
    this.#selects = new SelectCompiler(names, this.#expressions, from, () => this.#changes);
    this.#changes = new ChangeCompiler(schema, names, this.#expressions, from, selects);
    for (const declared of [...schema.functions.values()].flat()) this.#provide(declared);
  }

  /** Compiled when it is first called, since functions call each other. */
  #provide(declared: SqlFunction): void {
    const signature = signatureOf(declared);
    this.#functions[signature] = (x, ...args) => {
      const source = new FunctionCompiler(this.schema, this.#names, this, declared).compile();
      const make = makeFunction(['V', 'F'], source) as Make<CompiledFunction>;
      const compiled = make(values, this.#functions);
      this.#functions[signature] = compiled;
      return compiled(x, ...args);
    };
  }

  program(text: string): readonly Compiled[] {
    const known = this.#programs.get(text);
    if (known !== undefined) return known;
    const compiled = parse(text).map((node) => this.statement(node));
    this.#programs.set(text, compiled);
    return compiled;
  }

  /** An expression over the columns of one table: what CHECK says. */
  condition(table: string, node: Node): (tuple: Tuple) => boolean | null {
    const scope = new Scope(undefined, 's');
    const columns = this.schema.table(table).columns.map(({ name, type }) => [name, type] as const);
    scope.ranges.push({ alias: table, js: 'r', columns: new Map(columns) });
    const { js } = this.#expressions.compile(node, scope);
    const source = `return (r) => ${js};`;
    const make = makeFunction(['V', 'F'], source) as Make<(tuple: Tuple) => boolean | null>;
    return make(values, this.#functions);
  }

  /** Its WHEN, and its function as one of the new row and the old, which answers the row. */
  trigger(table: string, { when, function: name, columns }: Trigger): CompiledTrigger {
    const called = this.schema.findFunction(name, 0, []);
    const rows = ['new', 'old'].map((row) => ({ name: row, type: table, fallback: undefined }));
    const declared = { ...called, parameters: rows, returns: table };
    const source = new FunctionCompiler(this.schema, this.#names, this, declared).compile();
    const make = makeFunction(['V', 'F'], source) as Make<CompiledTrigger['run']>;
    const variables = new Map(rows.map((row) => [row.name, { js: `v_${row.name}`, type: table }]));
    const scope = new Scope(undefined, 's', variables);
    const test = when === undefined ? 'true' : this.#expressions.compile(when, scope).js;
    const makeTest = makeFunction(['V', 'F'], `return (v_new, v_old) => ${test};`) as Make<
      CompiledTrigger['when']
    >;
    return {
      columns,
      when: makeTest(values, this.#functions),
      run: make(values, this.#functions),
    };
  }

  query(node: Node | undefined, scope: Scope): Query {
    return open(node).SelectStmt === undefined
      ? this.#changes.compile(node, scope)
      : this.#selects.compile(open(node).SelectStmt ?? {}, scope);
  }

  typed(node: Node, type: string, scope: Scope): Code {
    return this.#expressions.convert(this.#expressions.compile(node, scope), type);
  }

  typeNamed(written: string): string {
    return typeOf(open(parseExpression(`null::${written}`)).TypeCast?.typeName);
  }

  statement(node: Node): Compiled {
    const { TransactionStmt, VariableSetStmt } = open(node);
    if (VariableSetStmt !== undefined) return { kind: 'set' };
    if (TransactionStmt !== undefined) return transactionOf(TransactionStmt);
    const command = COMMANDS[kindOf(node)] ?? refuse(`statement ${kindOf(node)}`);
    const scope = new Scope(undefined, 's');
    const { js } = this.query(node, scope);
    const source = `return function* (x, p) { const s = x.snapshot(); ${js} };`;
    const make = makeFunction(['V', 'F'], source) as Make<
      (x: Execution, parameters: readonly Value[]) => Running<Tuple[]>
    >;
    return { kind: 'query', command, run: make(values, this.#functions) };
  }
}

type Make<Made> = (
  helpers: typeof values,
  functions: Readonly<Record<string, CompiledFunction>>,
) => Made;

const COMMANDS: Readonly<Record<string, string>> = {
  SelectStmt: 'SELECT',
  InsertStmt: 'INSERT',
  UpdateStmt: 'UPDATE',
  DeleteStmt: 'DELETE',
};

function transactionOf({ kind, options = [] }: { kind?: string; options?: Node[] }): Compiled {
  if (kind === 'TRANS_STMT_COMMIT') return { kind: 'commit' };
  if (kind === 'TRANS_STMT_ROLLBACK') return { kind: 'rollback' };
  if (kind !== 'TRANS_STMT_BEGIN') return refuse(`transaction statement ${kind}`);
  const given = new Map(
    options.map((option) => {
      const { defname = '', arg } = open(option).DefElem ?? {};
      const { sval, ival } = open(arg).A_Const ?? {};
      return [defname, sval?.sval ?? ival?.ival ?? 0] as const;
    }),
  );
  const level = given.get('transaction_isolation') ?? 'read committed';
  if (level !== 'read committed' && level !== 'repeatable read') refuse(`isolation ${level}`);
  return {
    kind: 'begin',
    isSnapshot: level === 'repeatable read',
    isReadOnly: given.get('transaction_read_only') === 1,
  };
}
