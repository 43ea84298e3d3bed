import { refuse } from './syntax';

/** A piece of the JavaScript that a statement becomes. */
export interface Code {
  readonly js: string;
  /** Its SQL type; `unknown` for a literal or a parameter that takes any; nothing where it does not matter. */
  readonly type: string | undefined;
  /** It may have to wait, and so stands in a generator. */
  readonly yields: boolean;
}

/** What FROM, or an INSERT, makes known by an alias. */
export interface Range {
  readonly alias: string;
  /** The JavaScript variable that holds the tuple. */
  readonly js: string;
  readonly columns: ReadonlyMap<string, string>;
  /** Of an outer join: the tuple may be null. */
  readonly isNullable?: boolean;
  /** Where its rows can be locked. */
  readonly table?: string;
  /** Columns that a join's USING has given to its left side: found by their alias alone. */
  readonly hidden?: ReadonlySet<string>;
}

export interface Variable {
  readonly js: string;
  readonly type: string;
}

export interface RowSet {
  readonly js: string;
  readonly columns: ReadonlyMap<string, string>;
}

/** What names mean at one place of a statement. */
export class Scope {
  readonly ranges: Range[] = [];
  readonly withs = new Map<string, RowSet>();

  constructor(
    readonly parent: Scope | undefined,
    /** The JavaScript variable with the statement's snapshot. */
    readonly snapshot: string,
    readonly variables: ReadonlyMap<string, Variable> = parent?.variables ?? new Map(),
    readonly functionName: string | undefined = parent?.functionName,
  ) {}

  with(name: string): RowSet | undefined {
    return this.withs.get(name) ?? this.parent?.with(name);
  }

  range(alias: string): Range | undefined {
    return this.ranges.find((range) => range.alias === alias) ?? this.parent?.range(alias);
  }

  resolve(names: readonly string[]): Code {
    const [first = '', second] = names.slice(-2);
    if (second === undefined) {
      const column = this.#column(first);
      const variable = this.variables.get(first);
      if (column !== undefined && variable !== undefined) refuse(`ambiguous name ${first}`);
      return column ?? this.#variable(first) ?? this.#whole(first) ?? refuse(`name ${first}`);
    }
    const range = this.range(first);
    if (range !== undefined) return columnCode(range, second);
    if (first === this.functionName) return this.#variable(second) ?? refuse(`name ${second}`);
    const variable = this.variables.get(first) ?? refuse(`name ${names.join('.')}`);
    return { js: `${variable.js}[${JSON.stringify(second)}]`, type: undefined, yields: false };
  }

  #column(name: string): Code | undefined {
    const having = this.ranges.filter(
      ({ columns, hidden }) => columns.has(name) && hidden?.has(name) !== true,
    );
    const [range] = having;
    if (having.length > 1) refuse(`ambiguous column ${name}`);
    if (range !== undefined) return columnCode(range, name);
    return this.parent?.columnOf(name);
  }

  columnOf(name: string): Code | undefined {
    return this.#column(name);
  }

  #variable(name: string): Code | undefined {
    const variable = this.variables.get(name);
    return variable && { js: variable.js, type: variable.type, yields: false };
  }

  #whole(name: string): Code | undefined {
    const range = this.range(name);
    if (range === undefined) return undefined;
    const [only, ...others] = range.columns.keys();
    // A function's rows of one column are that column.
    if (only !== undefined && others.length === 0) return columnCode(range, only);
    return { js: range.js, type: undefined, yields: false };
  }
}

export function columnCode(range: Range, column: string): Code {
  const type = range.columns.get(column) ?? refuse(`column ${range.alias}.${column}`);
  const field = `[${JSON.stringify(column)}]`;
  const js = range.isNullable === true ? `(${range.js}?.${field} ?? null)` : `${range.js}${field}`;
  return { js, type, yields: false };
}

/** Numbers the JavaScript variables of one compilation. */
export class Names {
  #next = 0;

  fresh(stem: string): string {
    this.#next += 1;
    return `${stem}${this.#next}`;
  }
}
