import type { Json } from './json';
import type { Outcome } from './outcome';
import type { Steps } from './update-request';

/** Where an update stands, as its `progress` query answers and the Web UI shows. */
export interface Progress {
  readonly definition: string;
  readonly token: string;
  readonly entities: readonly string[];
  /** The step that runs now, or ran last. */
  readonly leg: keyof Steps;
  /** The steps that have answered, in order, with their answers. */
  readonly done: readonly { readonly leg: keyof Steps; readonly answer: string }[];
  readonly outcome?: Outcome<Json>;
}

/** What each step is called in the Web UI. */
export const LEG_TITLES: { readonly [Leg in keyof Steps]: string } = {
  applyPostgres: 'Postgres leg',
  applyMongo: 'Mongo leg',
  fencePostgres: 'Compensation: fence Postgres',
  fenceMongo: 'Compensation: fence Mongo',
  undoPostgres: 'Compensation: undo Postgres',
  resumeForward: 'Forward again',
};

/** What each step's answer means to somebody who has not read the protocol. */
const MEANINGS: { readonly [Leg in keyof Steps]: Readonly<Record<string, string>> } = {
  applyPostgres: {
    forward: 'applied',
    undoing: 'found a compensation under way',
    settled: 'found the outcome',
  },
  applyMongo: {
    settled: 'applied and settled',
    forward: 'found it going forward',
    undoing: 'found a compensation under way',
    refused: 'refused',
    fencedOut: 'a compensation was here first',
  },
  fencePostgres: {
    forward: 'no way back',
    undoing: 'it ran, and is undone now',
    settled: 'nothing to undo',
  },
  fenceMongo: { fenced: 'undone, or never ran', applied: 'no way back' },
  undoPostgres: {
    undoing: 'undone',
    settled: 'undone and settled',
    forward: 'going forward again',
  },
  resumeForward: { forward: 'going forward', undoing: 'too late', settled: 'found the outcome' },
};

/** Names a step by what was done before it: after an undo, the Mongo leg writes what the undo left. */
export function titleOf(leg: keyof Steps, done: Progress['done']): string {
  const isAfterUndo = done.some((step) => step.leg === 'undoPostgres');
  return leg === 'applyMongo' && isAfterUndo ? 'Compensation: restore Mongo' : LEG_TITLES[leg];
}

export function meaningOf(leg: keyof Steps, answer: string): string {
  return MEANINGS[leg][answer] ?? answer;
}
