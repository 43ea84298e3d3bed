/** The command that makes a parked update try again at once, to be copied into a shell. */
export function retryCommandOf(definition: string, token: string): string {
  // What begins with a dash would be taken for an option.
  const rest = token.startsWith('-') ? ['--', definition, token] : [definition, token];
  return ['twinwrite', 'retry', ...rest.map(shellWord)].join(' ');
}

function shellWord(text: string): string {
  if (/^[\w@%+=:,./-]+$/.test(text)) return text;
  return `'${text.replaceAll("'", String.raw`'\''`)}'`;
}
