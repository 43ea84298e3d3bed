import {
  type ListedState,
  listUpdates,
  SETTLED_STATES,
  UNSETTLED_STATES,
} from '../../activities/ledger-list';
import { isMissingSchema } from '../../activities/postgres/errors';
import type { ListCommandOptions } from '../commands/list';
import { CommandFailure } from '../failure';
import { createOutput } from '../output';
import { openLedger } from '../stores';
import { describeList } from './describe';

/** Lists updates from the ledger. */
export async function list(options: ListCommandOptions): Promise<void> {
  const output = createOutput(options);
  const { definition, olderThan: olderThanMillis, limit } = options;
  const states = statesOf(options.state);
  const postgres = await openLedger();
  try {
    // One more than is shown tells whether there are more.
    const found = await listUpdates(postgres, {
      states,
      definition,
      olderThanMillis,
      limit: limit + 1,
    }).catch(explain);
    const report = { updates: found.slice(0, limit), isComplete: found.length <= limit };
    output.result(report, describeList(report, options.state));
  } finally {
    await postgres.end();
  }
}

function statesOf(wanted: ListCommandOptions['state']): readonly ListedState[] {
  const states = wanted.flatMap((state): readonly ListedState[] => {
    if (state === 'unsettled') return UNSETTLED_STATES;
    return state === 'any' ? [...UNSETTLED_STATES, ...SETTLED_STATES] : [state];
  });
  return [...new Set(states)];
}

function explain(error: unknown): never {
  if (!isMissingSchema(error)) throw error;
  throw new CommandFailure(
    'This PostgreSQL database has no ledger; check DATABASE_URL, or run "twinwrite migrate".',
    { cause: error },
  );
}
