import { stoppedError } from '../../activities/epoch-stop';
import type { Finding } from '../../epoch/finding';
import { tableOf } from '../output';
import type { EpochReport } from './epoch';

/** For people. */
export function describeEpochs({ postgres, mongo, stopped, isPair }: EpochReport): string {
  const table = tableOf(
    ['store', 'epoch', 'tick', 'remembered by the other'],
    [
      ['PostgreSQL', String(postgres.epoch), String(postgres.tick), String(mongo.postgresTick)],
      ['MongoDB', String(mongo.epoch), String(mongo.tick), String(postgres.mongoTick)],
    ],
  );
  const verdict =
    stopped === null ? 'The stores are open.' : `Stopped: ${stoppedError(stopped).message}`;
  const stranger = 'These two databases were never used together.';
  return [table, ...(isPair ? [] : [stranger]), verdict].join('\n');
}

/** What is named may have been chosen by anybody: nothing of it reaches a terminal raw. */
export function lineOf(finding: Finding, isDryRun: boolean): string {
  const name =
    finding.what === 'document'
      ? `${finding.collection}/${finding.id}`
      : `${finding.definition} ${finding.token}`;
  const would = isDryRun && finding.end !== 'needs somebody' ? 'would be ' : '';
  const reason = finding.reason === undefined ? '' : `: ${finding.reason}`;
  return `${finding.what} ${JSON.stringify(name)}: ${FOUND[finding.found]}; ${would}${finding.end}${reason}`;
}

const FOUND: Readonly<Record<Finding['found'], string>> = {
  ahead: 'ahead of PostgreSQL, which has lost it',
  behind: 'behind PostgreSQL',
  'lost in PostgreSQL': 'lost in PostgreSQL',
  'unsettled in PostgreSQL': 'ended, and open in PostgreSQL',
  'lost in MongoDB': 'lost in MongoDB',
  disagreed: 'the ledgers disagree',
};

/** Counts how what was found ended. */
export class FindingTally {
  #documents = 0;
  #updates = 0;
  #left = 0;

  add({ what, end }: Finding): void {
    if (end === 'needs somebody') this.#left += 1;
    else if (what === 'document') this.#documents += 1;
    else this.#updates += 1;
  }

  /** What needs somebody. */
  get left(): number {
    return this.#left;
  }

  get document() {
    return { documents: this.#documents, updates: this.#updates, needSomebody: this.#left };
  }

  sentence(epoch: number, isDryRun: boolean): string {
    const counts = `documents repaired: ${this.#documents} updates taken up again: ${this.#updates} needing somebody: ${this.#left}`;
    return isDryRun
      ? `It would raise the epoch to ${epoch}. ${counts}`
      : `The epoch is ${epoch}, and the stores are open. ${counts}`;
  }
}
