import type { Node } from 'libpg-query';

export interface Column {
  readonly name: string;
  readonly type: string;
  /** An expression of the schema's own. */
  readonly fallback?: Node;
  readonly isSerial?: boolean;
}

export interface UniqueIndex {
  readonly name: string;
  readonly columns: readonly string[];
}

/** BEFORE UPDATE OF some columns, FOR EACH ROW: its function may change the row. */
export interface Trigger {
  readonly columns: readonly string[];
  readonly when: Node | undefined;
  readonly function: string;
}

export interface Table {
  readonly name: string;
  readonly columns: Column[];
  readonly unique: UniqueIndex[];
  readonly checks: { readonly name: string; readonly condition: Node }[];
  readonly triggers: Trigger[];
}

export interface SqlFunction {
  readonly name: string;
  readonly parameters: readonly {
    readonly name: string;
    readonly type: string;
    readonly fallback: Node | undefined;
  }[];
  readonly returns: string;
  readonly isSet: boolean;
  readonly language: 'sql' | 'plpgsql';
  readonly body: string;
  /** Why it cannot be called; that it is declared harms nobody. */
  readonly unknown?: string;
}

/** What the statements of the migrations, and of the user's tables, have declared. */
export class Schema {
  readonly tables = new Map<string, Table>();
  readonly views = new Map<string, Node>();
  readonly composites = new Map<string, readonly Column[]>();
  readonly sequences = new Set<string>();
  readonly functions = new Map<string, SqlFunction[]>();

  /** The columns of a type that has some. */
  columnsOf(type: string): readonly Column[] | undefined {
    return this.composites.get(type) ?? this.tables.get(type)?.columns;
  }

  table(name: string): Table {
    const table = this.tables.get(name);
    if (table === undefined) throw new Error(`the model of PostgreSQL has no table ${name}`);
    return table;
  }

  declare(declared: SqlFunction): void {
    const { name, parameters } = declared;
    const others = (this.functions.get(name) ?? []).filter(
      (other) => other.parameters.length !== parameters.length,
    );
    this.functions.set(name, [...others, declared]);
  }

  /** The one that takes so many arguments, the given names among them. */
  findFunction(name: string, positional: number, named: readonly string[]): SqlFunction {
    const total = positional + named.length;
    const fitting = (this.functions.get(name) ?? []).filter(
      ({ parameters }) =>
        total <= parameters.length &&
        parameters
          .slice(positional)
          .every((parameter) => named.includes(parameter.name) || parameter.fallback !== undefined),
    );
    const exact = fitting.find(({ parameters }) => parameters.length === total) ?? fitting[0];
    if (exact === undefined) {
      throw new Error(`the model of PostgreSQL has no function ${name} of ${total} arguments`);
    }
    return exact;
  }
}

export const signatureOf = ({ name, parameters }: SqlFunction): string =>
  `${name}/${parameters.length}`;
