import { describeParked } from '../standing';
import type { RetryReport } from './retry';

/** What was found and done, for people. */
export function describeRetry({ definition, token, state, parked, isDryRun }: RetryReport): string {
  const update = `${definition} ${token}`;
  const look = `"twinwrite show" says what becomes of it.`;
  switch (state) {
    case 'parked':
      return [
        isDryRun
          ? `${update} is parked, and would be told to try again now. Nothing was done.`
          : `${update} was parked, and tries again now; ${look}`,
        ...(parked === null ? [] : [`It was parked by  ${describeParked(parked)}`]),
      ].join('\n');
    case 'unknown':
      return isDryRun
        ? `${update} would be told to try again: no worker answers, so it is not known whether it is parked. Nothing was done.`
        : `${update} was told to try again, and does once a worker runs: none answers now, so it is not known whether it was parked.`;
    case 'waiting':
      return `${update} is not parked: it waits for its turn, because another update holds one of its entities. Nothing was done.`;
    case 'running':
      return `${update} is not parked: it runs, and tries again by itself. Nothing was done.`;
    default:
      return `${update} is settled already: ${state}. Nothing was done.`;
  }
}
