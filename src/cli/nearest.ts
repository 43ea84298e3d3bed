/**
 * Names the valid choice that was probably meant, or else some of the valid ones, as the end of a
 * sentence.
 */
export function suggest(name: string, choices: readonly string[]): string {
  const scored = choices.map((choice) => ({ choice, distance: distanceOf(name, choice) }));
  scored.sort((a, b) => a.distance - b.distance);
  const [best] = scored;
  if (best === undefined) return 'There is none.';
  if (best.distance <= Math.max(2, name.length * 0.4)) return `Did you mean ${best.choice}?`;
  const some = scored.slice(0, 5).map(({ choice }) => choice);
  const more = choices.length > some.length ? ` and ${choices.length - some.length} more` : '';
  return `There is ${some.join(', ')}${more}.`;
}

/**
 * How many characters must be typed, removed or changed to get from one to the other, whatever
 * their case.
 */
function distanceOf(from: string, to: string): number {
  const [source, target] = [from.toLowerCase(), to.toLowerCase()];
  let row = Array.from({ length: target.length + 1 }, (_, index) => index);
  for (let line = 0; line < source.length; line += 1) {
    const next = [line + 1];
    for (let column = 0; column < target.length; column += 1) {
      const changed = (row[column] ?? 0) + (target[column] === source[line] ? 0 : 1);
      next.push(Math.min(changed, (row[column + 1] ?? 0) + 1, (next[column] ?? 0) + 1));
    }
    row = next;
  }
  return row.at(-1) ?? 0;
}
