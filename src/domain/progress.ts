import type { Json } from './json';
import type { Outcome, OutcomeStatus } from './outcome';
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
  /** Why it needs somebody, while it does: the step that runs keeps failing. */
  readonly parked?: string;
}

/** What each step is called in the Web UI. */
const LEG_TITLES: { readonly [Leg in keyof Steps]: string } = {
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
    undoing: 'a compensation is under way',
    waiting: 'another update holds one of its entities; it waits for its turn',
  },
  applyMongo: {
    forward: 'it goes forward',
    undoing: 'a compensation is under way',
    fencedOut: 'a compensation was here first',
  },
  fencePostgres: { forward: 'no way back', undoing: 'it ran, so it is undone' },
  fenceMongo: { fenced: 'undone, or never ran', applied: 'no way back' },
  undoPostgres: { undoing: 'undone', forward: 'it goes forward again' },
  resumeForward: { forward: 'it goes forward', undoing: 'too late' },
};

export function isLeg(name: string): name is keyof Steps {
  return name in LEG_TITLES;
}

/**
 * Names a step by what was done before it: after an undo, the Mongo leg writes what the undo left.
 */
export function titleOf(leg: keyof Steps, done: readonly { readonly leg: string }[]): string {
  const isAfterUndo = done.some((step) => step.leg === 'undoPostgres');
  return leg === 'applyMongo' && isAfterUndo ? 'Compensation: restore Mongo' : LEG_TITLES[leg];
}

/** Says what a step answered; the one that found or made the outcome says which. */
export function meaningOf(
  { leg, answer }: Progress['done'][number],
  { outcome }: { readonly outcome?: { readonly status: OutcomeStatus } },
): string {
  if (answer === 'settled' && outcome !== undefined) return `settled as ${outcome.status}`;
  return MEANINGS[leg][answer] ?? answer;
}
