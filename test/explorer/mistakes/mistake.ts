import type { Patch } from '../loader';

/** A mistake as somebody might make it, and where it is looked for. */
export interface Mistake {
  readonly name: string;
  readonly patches: readonly Patch[];
  /** The names of the scenarios. */
  readonly scenarios: readonly string[];
  /** Parts of the names of the only two deviations, where finding it takes two for certain. */
  readonly deviations?: readonly [first: string, second: string];
}
