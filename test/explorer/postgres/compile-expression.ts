import type { A_Const, A_Expr, A_Indirection, FuncCall, Node, SubLink } from 'libpg-query';
import { BUILTINS, OPERATORS } from './builtins';
import type { SelectCompiler } from './compile-select';
import type { Schema, SqlFunction } from './schema';
import { signatureOf } from './schema';
import type { Code, Scope } from './scope';
import { kindOf, nameOf, namesOf, open, refuse, typeOf } from './syntax';

/** Makes JavaScript of SQL's expressions. */
export class ExpressionCompiler {
  constructor(
    private readonly schema: Schema,
    /** Set once, since expressions and queries contain each other. */
    private readonly selects: () => SelectCompiler,
  ) {}

  compile(node: Node | undefined, scope: Scope): Code {
    const of = open(node);
    if (of.ColumnRef !== undefined) return scope.resolve(namesOf(of.ColumnRef.fields));
    if (of.A_Const !== undefined) return constant(of.A_Const);
    if (of.ParamRef !== undefined) {
      return plain(`p[${(of.ParamRef.number ?? 0) - 1}]`, 'unknown');
    }
    if (of.TypeCast !== undefined) {
      const type = typeOf(of.TypeCast.typeName);
      const row = open(of.TypeCast.arg).RowExpr;
      if (row !== undefined) return this.#row(row.args ?? [], type, scope);
      return this.cast(this.compile(of.TypeCast.arg, scope), type);
    }
    if (of.CollateClause !== undefined) return this.compile(of.CollateClause.arg, scope);
    if (of.A_Expr !== undefined) return this.#operator(of.A_Expr, scope);
    if (of.SubLink !== undefined) return this.#subquery(of.SubLink, scope);
    if (of.FuncCall !== undefined) return this.#call(of.FuncCall, scope);
    if (of.NullTest !== undefined) {
      const { arg, nulltesttype } = of.NullTest;
      const negation = nulltesttype === 'IS_NULL' ? '===' : '!==';
      return this.#derive(
        [this.compile(arg, scope)],
        ([js]) => `(${js} ${negation} null)`,
        BOOLEAN,
      );
    }
    return this.#compound(node, scope);
  }

  #compound(node: Node | undefined, scope: Scope): Code {
    const of = open(node);
    if (of.BoolExpr !== undefined) {
      const all = (of.BoolExpr.args ?? []).map((arg) => this.compile(arg, scope));
      if (of.BoolExpr.boolop === 'NOT_EXPR') {
        return this.#derive(all, ([js]) => `V.not(${js})`, BOOLEAN);
      }
      const helper = of.BoolExpr.boolop === 'AND_EXPR' ? 'and' : 'or';
      return this.#derive(
        all,
        (parts) => parts.reduce((a, b) => `V.${helper}(${a}, ${b})`),
        BOOLEAN,
      );
    }
    if (of.CoalesceExpr !== undefined) {
      const all = (of.CoalesceExpr.args ?? []).map((arg) => this.compile(arg, scope));
      return this.#derive(all, (parts) => `(${parts.join(' ?? ')} ?? null)`, commonType(all));
    }
    if (of.MinMaxExpr !== undefined) {
      const all = (of.MinMaxExpr.args ?? []).map((arg) => this.compile(arg, scope));
      const helper = of.MinMaxExpr.op === 'IS_LEAST' ? 'least' : 'greatest';
      return this.#derive(all, (parts) => `V.${helper}([${parts.join()}])`, commonType(all));
    }
    if (of.A_ArrayExpr !== undefined) {
      const all = (of.A_ArrayExpr.elements ?? []).map((item) => this.compile(item, scope));
      return this.#derive(all, (parts) => `[${parts.join()}]`, undefined);
    }
    if (of.BooleanTest !== undefined) {
      const { arg, booltesttype = '' } = of.BooleanTest;
      const test = BOOLEAN_TESTS[booltesttype] ?? refuse(booltesttype);
      return this.#derive([this.compile(arg, scope)], ([js]) => `(${js} ${test})`, BOOLEAN);
    }
    if (of.CaseExpr !== undefined) return this.#case(node, scope);
    if (of.A_Indirection !== undefined) return this.#item(of.A_Indirection, scope);
    return refuse(`expression ${kindOf(node)}`);
  }

  /** One item of an array. */
  #item({ arg, indirection = [] }: A_Indirection, scope: Scope): Code {
    const [indices, ...others] = indirection.map((node) => open(node).A_Indices);
    if (indices?.uidx === undefined || indices.is_slice === true || others.length > 0) {
      refuse('indirection');
    }
    const array = this.compile(arg, scope);
    return this.#derive(
      [array, this.compile(indices.uidx, scope)],
      ([items, index]) => `(${items}?.[${index} - 1] ?? null)`,
      array.type?.replace('[]', ''),
    );
  }

  #row(args: readonly Node[], type: string, scope: Scope): Code {
    const columns = this.schema.columnsOf(type) ?? refuse(`row of ${type}`);
    const all = args.map((arg) => this.compile(arg, scope));
    const names = columns.map(({ name }) => JSON.stringify(name));
    return this.#derive(
      all,
      (parts) => `({ ${parts.map((part, index) => `${names[index]}: ${part}`).join()} })`,
      type,
    );
  }

  #case(node: Node | undefined, scope: Scope): Code {
    const { arg, args = [], defresult } = open(node).CaseExpr ?? {};
    const subject = arg === undefined ? undefined : this.compile(arg, scope);
    const branches = args.map((branch) => {
      const { expr, result } = open(branch).CaseWhen ?? {};
      const given = this.compile(expr, scope);
      const test =
        subject === undefined ? `${given.js} === true` : `V.equals(${subject.js}, ${given.js})`;
      return { given, test, result: this.compile(result, scope) };
    });
    const otherwise =
      defresult === undefined ? plain('null', 'unknown') : this.compile(defresult, scope);
    const results = [...branches.map(({ result }) => result), otherwise];
    const type = commonType(results);
    const typed = (code: Code) => (type === undefined ? code : this.convert(code, type)).js;
    const chosen = branches.map(({ test, result }) => `${test} ? ${typed(result)} : `).join('');
    return {
      js: `(${chosen}${typed(otherwise)})`,
      type,
      yields: [...results, ...branches.map(({ given }) => given)].some(({ yields }) => yields),
    };
  }

  /** To the type, unless it has it. */
  convert(code: Code, type: string): Code {
    if (code.type === type) return code;
    if (code.type === 'unknown' && /^"|^null$/.test(code.js) && isPlain(this.schema, type)) {
      return { ...code, type };
    }
    return this.cast(code, type);
  }

  cast(code: Code, type: string): Code {
    return { ...code, js: `V.coerce(${code.js}, ${JSON.stringify(type)})`, type };
  }

  #operator({ kind, name, lexpr, rexpr }: A_Expr, scope: Scope): Code {
    const symbol = nameOf(name);
    if (kind === 'AEXPR_IN') {
      const items = open(rexpr).List?.items ?? [];
      const all = [lexpr, ...items].map((item) => this.compile(item, scope));
      const test = ([value, ...rest]: string[]) => `V.isAny(${value}, [${rest.join()}])`;
      const negated = (parts: string[]) => `V.not(${test(parts)})`;
      return this.#derive(all, symbol === '=' ? test : negated, BOOLEAN);
    }
    if (lexpr === undefined && symbol === '-') {
      return this.#derive(
        [this.compile(rexpr, scope)],
        ([js]) => `V.subtract(0, ${js})`,
        undefined,
      );
    }
    const sides = [this.compile(lexpr, scope), this.compile(rexpr, scope)] as const;
    if (kind === 'AEXPR_OP_ANY' && symbol === '=') {
      return this.#derive(sides, ([value, items]) => `V.isAny(${value}, ${items})`, BOOLEAN);
    }
    if (kind === 'AEXPR_DISTINCT') {
      return this.#derive(sides, ([a, b]) => `V.isDistinct(${a}, ${b})`, BOOLEAN);
    }
    if (kind !== 'AEXPR_OP') refuse(`operator ${kind}`);
    const [helper, type] = OPERATORS[symbol] ?? refuse(`operator ${symbol}`);
    const [left, right] = sides;
    const [a, b] =
      type === BOOLEAN ? [this.#alike(left, right), this.#alike(right, left)] : [left, right];
    return this.#derive([a, b], (parts) => `V.${helper}(${parts.join()})`, type ?? sumType(a, b));
  }

  /** A literal or a parameter takes the type of what it is compared with. */
  #alike(code: Code, other: Code): Code {
    const { type } = other;
    if (code.type !== 'unknown' || type === undefined || type === 'unknown') return code;
    return this.convert(code, type);
  }

  #subquery({ subLinkType, subselect, testexpr }: SubLink, scope: Scope): Code {
    const { js, columns, yields } = this.selects().subquery(subselect, scope);
    const [column, type] = [...columns][0] ?? [];
    const rows = yields ? `(yield* (function* () { ${js} })())` : `(() => { ${js} })()`;
    const field = `[${JSON.stringify(column)}]`;
    switch (subLinkType) {
      case 'EXISTS_SUBLINK':
        return { js: `(${rows}.length > 0)`, type: BOOLEAN, yields };
      case 'ARRAY_SUBLINK':
        return { js: `${rows}.map((r) => r${field})`, type: type && `${type}[]`, yields };
      case 'EXPR_SUBLINK':
        return { js: `(${rows}[0]?.${field} ?? null)`, type, yields };
      case 'ANY_SUBLINK': {
        const tested = this.compile(testexpr, scope);
        const test = `V.isAny(${tested.js}, ${rows}.map((r) => r${field}))`;
        return { js: test, type: BOOLEAN, yields: yields || tested.yields };
      }
      default:
        return refuse(`subquery ${subLinkType}`);
    }
  }

  #call({ funcname, args = [] }: FuncCall, scope: Scope): Code {
    const name = nameOf(funcname);
    const builtin = BUILTINS[name];
    if (builtin !== undefined && (funcname?.length === 1 || !this.schema.functions.has(name))) {
      const all = args.map((arg) => this.compile(arg, scope));
      let type: string | undefined;
      const made = this.#derive(
        all,
        (parts) => {
          const [js, of] = builtin(parts.map((part) => plain(part, undefined)));
          type = of;
          return js;
        },
        undefined,
      );
      return { ...made, type };
    }
    return this.callFunction(name, args, scope).code;
  }

  callFunction(
    name: string,
    args: readonly Node[],
    scope: Scope,
  ): { code: Code; called: SqlFunction } {
    const named = new Map<string, Node>();
    const positional = args.filter((arg) => {
      const { NamedArgExpr } = open(arg);
      if (NamedArgExpr === undefined) return true;
      const { name: parameter = '', arg: given } = NamedArgExpr;
      if (given !== undefined) named.set(parameter, given);
      return false;
    });
    const called = this.schema.findFunction(name, positional.length, [...named.keys()]);
    const given = called.parameters.map(({ name: parameter, type, fallback }, index) => {
      const node = positional[index] ?? named.get(parameter) ?? fallback;
      return this.convert(this.compile(node, scope), type).js;
    });
    const js = `(yield* F[${JSON.stringify(signatureOf(called))}](${['x', ...given].join()}))`;
    return { code: { js, type: called.returns, yields: true }, called };
  }

  #derive(all: readonly Code[], make: (parts: string[]) => string, type: string | undefined): Code {
    const js = make(all.map((code) => code.js));
    return { js, type, yields: all.some(({ yields }) => yields) };
  }
}

const BOOLEAN = 'boolean';

const BOOLEAN_TESTS: Readonly<Record<string, string>> = {
  IS_TRUE: '=== true',
  IS_NOT_TRUE: '!== true',
  IS_FALSE: '=== false',
  IS_NOT_FALSE: '!== false',
};

const plain = (js: string, type: string | undefined): Code => ({ js, type, yields: false });

function constant({ ival, fval, sval, boolval, isnull }: A_Const): Code {
  if (isnull === true) return plain('null', 'unknown');
  if (sval !== undefined) return plain(JSON.stringify(sval.sval ?? ''), 'unknown');
  if (boolval !== undefined) return plain(String(boolval.boolval ?? false), BOOLEAN);
  if (ival !== undefined) return plain(String(ival.ival ?? 0), 'int');
  const number = fval?.fval ?? refuse('constant of this kind');
  return number.includes('.') ? plain(number, 'numeric') : plain(`${number}n`, 'bigint');
}

function commonType(all: readonly Code[]): string | undefined {
  const types = new Set(all.map(({ type }) => type).filter((type) => type !== 'unknown'));
  const [type] = types;
  return types.size === 1 ? type : types.has('bigint') && types.has('int') ? 'bigint' : undefined;
}

function sumType(a: Code, b: Code): string | undefined {
  const types = [a.type, b.type];
  if (types.every((type) => type === 'timestamptz')) return 'interval';
  if (types.includes('timestamptz')) return 'timestamptz';
  return commonType([a, b]);
}

/** Types whose literals are what they say. */
function isPlain(schema: Schema, type: string): boolean {
  return type === 'text' || (!schema.composites.has(type) && ENUMS.test(type));
}

const ENUMS = /^(?!(?:bigint|int|numeric|boolean|timestamptz|interval)$)\w+$/;
