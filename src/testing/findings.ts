import type { Finding, FindingCode } from '../domain/finding';
import type { Steps } from '../domain/update-request';

type Explanation = Pick<Finding, 'meaning' | 'advice'>;

/** What each finding means to whoever wrote the definition, and what mends it. */
const EXPLANATIONS: { readonly [Code in FindingCode]: Explanation } = {
  UnstableIdentity: {
    meaning:
      'a retry of the same business change is not known again: it is applied a second time, or does not wait for whom it must.',
    advice:
      'make the token, the entities and the documents of the input alone: no clock, no random value, no counter, no default of the schema that makes one up.',
  },
  SharedToken: {
    meaning: 'the second of them is turned away as TokenReused: it never happens.',
    advice:
      'give each business change a token of its own, such as an id that the caller makes; two samples of one token are one sample.',
  },
  NotApplied: {
    meaning: 'the check needs it applied to go on, and it was not.',
    advice:
      'prepare the databases so that it can be applied, mend the callbacks, or move it to `refused` if that is how it is meant to end.',
  },
  NotRefused: {
    meaning: 'what you meant to be turned away is written to both stores.',
    advice:
      'turn it away in the schema, by a constraint or by `return refuse(…)`, or move it to `inputs`.',
  },
  StepFailed: {
    meaning:
      'in production the update would be parked: retried slowly, holding its entities, until somebody deploys a mended definition.',
    advice:
      'mend what the error says. To turn an input away for good, call `refuse(…)` instead of throwing.',
  },
  OutsideTransaction: {
    meaning:
      'an attempt that fails leaves this behind, and its retry does it once more: it happens twice, or for an update that never was.',
    advice:
      'in Postgres write through the `client` that the callback gets and through nothing else; in MongoDB pass `{ session }` to every operation; call no other system from a callback.',
  },
  ImpureImage: {
    meaning:
      'two workers that write the same version of a document write different documents, and a repair changes documents that are right.',
    advice:
      'make the image of the rows alone: no clock (store the time in a column), no random value, nothing from MongoDB, nothing remembered from another call; find the row of each id by its id, since rows come in any order, and alone or with others.',
  },
  StaleDocument: {
    meaning:
      'readers of MongoDB see what Postgres no longer says, until another update names the document.',
    advice:
      'name in `project` every document whose image reads a row that the update writes; and make the image of Postgres alone.',
  },
  DuplicateEffect: {
    meaning: 'a caller that tries again, or two at once, changes more than one that does not.',
    advice:
      'make the token of the input alone, and keep nothing in the process from one run of a callback to the next.',
  },
  UnsafeRetry: {
    meaning:
      'a callback runs again from the beginning after a fault, and yours then does something else: the outcome depends on luck.',
    advice:
      'keep nothing outside the transaction (no variable, no cache, no file) that the next run meets; let errors of the stores pass, and refuse only for what the data says.',
  },
  UndoIncomplete: {
    meaning: 'an update that is compensated leaves this behind, for ever and in silence.',
    advice:
      'make the undo take back every write of its apply, and nothing else. A column that may rightly differ, such as updated_at, goes into `ignore`: ["table.column"].',
  },
  RefusalLeftTraces: {
    meaning: '`refused` promises that nothing was ever written, in either store.',
    advice: 'write only through `client`, which rolls back when you refuse.',
  },
};

export function finding(code: FindingCode, sample: string, seen: readonly string[]): Finding {
  return { code, sample, seen, ...EXPLANATIONS[code] };
}

const STEPS: { readonly [Step in keyof Steps]: string } = {
  applyPostgres: 'the Postgres leg',
  applyMongo: 'the Mongo leg',
  fencePostgres: 'the fence',
  fenceMongo: 'the undo in MongoDB',
  undoPostgres: 'the undo in Postgres',
  resumeForward: 'the way forward',
};

export function stepFailed(sample: string, step: keyof Steps, error: unknown): Finding {
  const text = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
  return finding('StepFailed', sample, [`${STEPS[step]} failed: ${text}`]);
}

export function nameOfStep(step: keyof Steps): string {
  return STEPS[step];
}
