/** What `checkDefinition` of `twinwrite/testing` can find wrong with a definition. */
export type FindingCode =
  /** The token, the entities or the documents of one input are not always the same. */
  | 'UnstableIdentity'
  /** Two samples, which are two business changes, have one token. */
  | 'SharedToken'
  /** A sample that was given to be applied ended in another way. */
  | 'NotApplied'
  /** A sample that was given to be refused was applied. */
  | 'NotRefused'
  /** A callback failed in a way that would park the update. */
  | 'StepFailed'
  /** Something was written that a rollback does not take back. */
  | 'OutsideTransaction'
  /** The image is not a function of Postgres. */
  | 'ImpureImage'
  /** A document in MongoDB is not what its image is. */
  | 'StaleDocument'
  /** The same update, submitted again, had an effect or an answer of its own. */
  | 'DuplicateEffect'
  /** After a crash or a broken connection the update ended in another way. */
  | 'UnsafeRetry'
  /** After apply and undo a store is not what it was. */
  | 'UndoIncomplete'
  /** An update that was not applied left something behind. */
  | 'RefusalLeftTraces';

/** One thing that is wrong, where it was seen, and what a user can do about it. */
export interface Finding {
  readonly code: FindingCode;
  /** The sample that showed it, as the options name it: `inputs[0]`. */
  readonly sample: string;
  /** What was seen, in lines: rows with what they held before and after, for example. */
  readonly seen: readonly string[];
  readonly meaning: string;
  readonly advice: string;
}

const MAX_TOLD = 20;

/** The findings as a text for people: numbered, each with what it means and what to do. */
export function describeFindings(findings: readonly Finding[]): string {
  return findings.map(describeFinding).join('\n\n');
}

function describeFinding({ code, sample, seen, meaning, advice }: Finding, index: number): string {
  const left = seen.length - MAX_TOLD;
  const more = left > 0 ? [`… and ${left} more`] : [];
  const lines = [
    ...[...seen.slice(0, MAX_TOLD), ...more].map((line) => `     ${line}`),
    `   What it means: ${meaning}`,
    `   What to do: ${advice}`,
  ];
  return [`${index + 1}. ${code}, shown by ${sample}:`, ...lines].join('\n');
}
