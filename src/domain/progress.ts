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
  applyPostgres: 'Postgres leg: claim and apply',
  applyMongo: 'Mongo leg: apply',
  settle: 'Settle',
  fencePostgres: 'Compensation: fence Postgres',
  fenceMongo: 'Compensation: fence and undo Mongo',
  undoPostgres: 'Compensation: undo Postgres',
  resumeForward: 'Forward again',
};
