import type { Form } from 'twinwrite';
import type { Bench } from './bench';
import type { Leg } from './leg';

/** One sentence of the contract of a leg, and how it is checked. */
export interface LegClause {
  /** The clauses and findings that it shows: `clause 3, F38`. */
  readonly of: string;
  readonly says: string;
  /** `leg` is fresh and at its turn. */
  readonly check: (leg: Leg, bench: Bench) => Promise<void>;
}

/** What holds for a leg in place of a clause that it cannot have, and why it cannot. */
export interface Substitute {
  readonly since: string;
  readonly says: string;
  readonly check: (leg: Leg, bench: Bench) => Promise<void>;
}

/** One store and form, as the suite meets it. */
export interface Subject {
  readonly store: 'PostgreSQL' | 'MongoDB';
  readonly form: Form;
  readonly leg: (...parameters: ConstructorParameters<typeof Leg>) => Leg;
  /** By what the clause says. */
  readonly instead: Readonly<Record<string, Substitute>>;
}
