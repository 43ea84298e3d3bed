import Table from 'cli-table3';

/** Where a command writes: its result to standard output, everything else to standard error. */
export interface Output {
  readonly isJson: boolean;
  /** The result: for people, or one JSON document and nothing else. */
  result(document: object, text: string): void;
  /** One line of a result that comes in lines; nothing unless JSON was asked for. */
  jsonLine(document: object): void;
  /** Progress and warnings. */
  note(text: string): void;
}

export interface OutputOptions {
  readonly json?: boolean;
}

export function createOutput({ json = false }: OutputOptions): Output {
  const jsonLine = (document: object): void => {
    if (json) process.stdout.write(`${JSON.stringify(document)}\n`);
  };
  return {
    isJson: json,
    jsonLine,
    note: (text) => void process.stderr.write(`${text}\n`),
    result: (document, text) => {
      if (json) process.stdout.write(`${JSON.stringify(document, null, 2)}\n`);
      else process.stdout.write(`${text}\n`);
    },
  };
}

/** A table without colours, so that it reads the same in a file. */
export function tableOf(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const table = new Table({ head: [...head], style: { head: [], border: [] } });
  for (const row of rows) table.push([...row]);
  return table.toString();
}

/** `twinwrite … | head` closes our output early: that is no failure. */
export function endQuietlyWithoutReader(): void {
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') throw error;
    process.exit(0);
  });
}
