import { defineSearchAttributeKey, SearchAttributeType } from '@temporalio/common';

/** The search attributes that Twinwrite fills where the namespace has them. */
export const DEFINITION_ATTRIBUTE = defineSearchAttributeKey(
  'TwinwriteDefinition',
  SearchAttributeType.KEYWORD,
);
export const OUTCOME_ATTRIBUTE = defineSearchAttributeKey(
  'TwinwriteOutcome',
  SearchAttributeType.KEYWORD,
);

export const SEARCH_ATTRIBUTES = [DEFINITION_ATTRIBUTE, OUTCOME_ATTRIBUTE] as const;

/** What `TwinwriteOutcome` says of an update that has none yet. */
export const RUNNING = 'running';
/** The same of one that needs somebody. */
export const PARKED = 'parked';
