import { refuse } from './syntax';

/** The statements of PL/pgSQL that the functions of the ledger are made of. */
export type Statement =
  | { readonly kind: 'if'; readonly branches: readonly Branch[]; readonly otherwise: Statement[] }
  | { readonly kind: 'assign'; readonly target: string; readonly expression: string }
  | { readonly kind: 'return'; readonly expression: string | undefined }
  | { readonly kind: 'perform'; readonly query: string }
  | { readonly kind: 'sql'; readonly query: string; readonly into: readonly string[] }
  | { readonly kind: 'rowCount'; readonly target: string }
  | { readonly kind: 'raise'; readonly code: string; readonly message: string }
  | { readonly kind: 'nothing' };

interface Branch {
  readonly condition: string;
  readonly body: Statement[];
}

interface Declaration {
  readonly name: string;
  readonly type: string;
  readonly initial: string | undefined;
}

export interface Block {
  readonly declarations: readonly Declaration[];
  readonly statements: readonly Statement[];
}

/**
 * Reads the body of a function. Only its control structure is read here: what is SQL in it is left
 * to PostgreSQL's own grammar.
 */
export function parseBlock(body: string): Block {
  const reader = new Reader(body.replaceAll(/--[^\n]*/g, ''));
  const declarations: Declaration[] = [];
  if (reader.takeWord('declare')) {
    while (!reader.isAt('begin')) declarations.push(declarationOf(reader.until([';'])));
  }
  if (!reader.takeWord('begin')) refuse('function without begin');
  const statements = readStatements(reader, ['end']);
  return { declarations, statements };
}

function declarationOf(text: string): Declaration {
  const [, name = '', type = '', initial] =
    /^(\w+)\s+([\w.]+(?:\[\])?)\s*(?::=\s*([\s\S]+))?$/.exec(text) ?? refuse(`declaration ${text}`);
  return { name, type, initial };
}

function readStatements(reader: Reader, until: readonly string[]): Statement[] {
  const statements: Statement[] = [];
  while (!until.some((word) => reader.isAt(word))) statements.push(readStatement(reader));
  return statements;
}

function readStatement(reader: Reader): Statement {
  if (reader.takeWord('if')) return readIf(reader);
  const text = reader.until([';']);
  const [, word = '', rest = ''] = /^(\w+)([\s\S]*)$/.exec(text) ?? refuse(`statement ${text}`);
  switch (word.toLowerCase()) {
    case 'return':
      if (/^\s*(?:query|next)\b/i.test(rest)) refuse('RETURN QUERY');
      return { kind: 'return', expression: rest.trim() === '' ? undefined : rest };
    case 'perform':
      return { kind: 'perform', query: `select ${rest}` };
    case 'null':
      return { kind: 'nothing' };
    case 'get': {
      const [, target] = /^\s*diagnostics\s+(\w+)\s*=\s*row_count$/i.exec(rest) ?? [];
      return { kind: 'rowCount', target: target ?? refuse(`statement ${text}`) };
    }
    case 'raise': {
      const [, message = '', code] =
        /^\s*exception\s+'([^']*)'.*\berrcode\s*=\s*'(\w{5})'$/is.exec(rest) ?? [];
      return { kind: 'raise', message, code: code ?? refuse(`statement ${text}`) };
    }
    case 'select':
    case 'insert':
    case 'update':
    case 'delete':
    case 'with':
      return takeInto(text);
    default: {
      const [, target, expression] = /^([\w.]+)\s*:=\s*([\s\S]+)$/.exec(text) ?? [];
      if (target === undefined || expression === undefined) return refuse(`statement ${text}`);
      return { kind: 'assign', target, expression };
    }
  }
}

function readIf(reader: Reader): Statement {
  const branches: Branch[] = [];
  let otherwise: Statement[] = [];
  do {
    const condition = reader.until(['then']);
    branches.push({ condition, body: readStatements(reader, ['elsif', 'else', 'end']) });
  } while (reader.takeWord('elsif'));
  if (reader.takeWord('else')) otherwise = readStatements(reader, ['end']);
  if (reader.until([';']).replace(/\s+/, ' ') !== 'end if') refuse('IF without END IF');
  return { kind: 'if', branches, otherwise };
}

/** INTO is PL/pgSQL's: without it the statement is SQL. */
function takeInto(text: string): Statement {
  const from = /^insert\s+into\b/i.exec(text)?.[0].length ?? 0;
  const reader = new Reader(text, from);
  const before = reader.until(['into'], 'or end');
  if (reader.isAtEnd) return { kind: 'sql', query: text, into: [] };
  const [list = ''] = /^\s*[\w.]+(?:\s*,\s*[\w.]+)*/.exec(reader.rest) ?? [];
  const query = `${text.slice(0, from)} ${before} ${reader.rest.slice(list.length)}`;
  return { kind: 'sql', query, into: list.split(',').map((target) => target.trim()) };
}

/** Reads words at the outermost level: not within quotes, parentheses, or CASE. */
class Reader {
  constructor(
    private readonly text: string,
    private at = 0,
  ) {}

  get rest(): string {
    return this.text.slice(this.at);
  }

  get isAtEnd(): boolean {
    return this.rest.trim() === '';
  }

  isAt(word: string): boolean {
    return new RegExp(`^\\s*${word}\\b`, 'i').test(this.rest);
  }

  takeWord(word: string): boolean {
    const [found] = new RegExp(`^\\s*${word}\\b`, 'i').exec(this.rest) ?? [];
    this.at += found?.length ?? 0;
    return found !== undefined;
  }

  /** What comes before one of the words, which is taken as well. */
  until(words: readonly string[], end: 'or end' | 'needed' = 'needed'): string {
    const from = this.at;
    let depth = 0;
    const tokens = /'(?:[^']|'')*'|\w+|[();]/g;
    tokens.lastIndex = from;
    for (let match = tokens.exec(this.text); match !== null; match = tokens.exec(this.text)) {
      const token = match[0].toLowerCase();
      if (depth === 0 && words.includes(token)) {
        this.at = tokens.lastIndex;
        return this.text.slice(from, match.index).trim();
      }
      if (token === '(' || token === 'case') depth += 1;
      // Of a CASE: the END of a block stands where nothing is open.
      if (token === ')' || (token === 'end' && depth > 0)) depth -= 1;
    }
    if (end === 'needed') refuse(`end of ${this.text.slice(from, from + 60)}`);
    this.at = this.text.length;
    return this.text.slice(from);
  }
}
