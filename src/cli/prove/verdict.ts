import type { MongoEntry, PostgresEntry } from '../../activities/ledger-entries';
import type { DocumentEvidence } from '../../activities/proof';
import type { Outcome } from '../../domain/outcome';
import type { Leg } from '../show/legs';

/** What Temporal says of the update, where it was asked and still knows. */
export interface TemporalEvidence {
  readonly workflowId: string;
  readonly runId: string;
  readonly status: string;
  /** What its workflow returned. */
  readonly outcome: Outcome | null;
  readonly steps: readonly Pick<Leg, 'leg' | 'title' | 'answer' | 'attempts'>[];
}

export interface Evidence {
  readonly postgres: PostgresEntry | null;
  readonly mongo: MongoEntry | null;
  /** Null when Temporal has forgotten it; undefined when it did not answer. */
  readonly temporal: TemporalEvidence | null | undefined;
  /** Nothing where it is not known whether MongoDB has a ledger entry of it, or documents. */
  readonly form: 'projection' | 'transaction' | undefined;
  /** Nothing where they are not known: neither its input nor its definition is at hand. */
  readonly documents: readonly DocumentEvidence[] | undefined;
}

/** What is wrong, in the words of a reconciliation. */
type FindingKind =
  /** One store has it, and it is missing in the other. */
  | 'lost'
  /** MongoDB has what PostgreSQL took back, or never had. */
  | 'orphan'
  /** MongoDB has an earlier state than PostgreSQL, and nobody is about to write the later one. */
  | 'stale'
  /** MongoDB's document differs from PostgreSQL's image, at the same version. */
  | 'ghost'
  /** Nobody is driving it. */
  | 'stuck'
  | 'Mongo ahead'
  /** Temporal tells another outcome than the ledger. */
  | 'contradiction';

interface Finding {
  readonly kind: FindingKind;
  readonly says: string;
}

export type VerdictName =
  /** It has one outcome, and both stores show it. */
  | 'proven'
  /** It is on its way: there is nothing to prove yet. */
  | 'in flight'
  /** The stores do not agree. */
  | 'divergent'
  /** Nothing contradicts, and not everything could be compared. */
  | 'not disproven'
  | 'unknown';

export interface Verdict {
  readonly verdict: VerdictName;
  readonly findings: readonly Finding[];
  /** What could not be compared, and what to do about it. */
  readonly gaps: readonly string[];
}

/**
 * Judges one update by what is written down about it. It trusts nobody's word: the two ledgers, the
 * documents and Temporal's history are compared with each other.
 *
 * 1. The PostgreSQL ledger says what the outcome is; the others must agree with it.
 * 2. What is not settled is in flight, unless nobody drives it any more.
 * 3. What could not be compared is named, and never counted as agreement.
 */
export function judge(evidence: Evidence): Verdict {
  const { postgres, mongo, temporal } = evidence;
  if (postgres === null && mongo === null && !temporal) {
    return { verdict: 'unknown', findings: [], gaps: [] };
  }
  if (postgres === null) return judgeUnrecorded(evidence);
  const isSettled = SETTLED.has(postgres.state);
  const findings = isSettled ? settledFindings(postgres, evidence) : openFindings(evidence);
  const gaps = isSettled ? gapsOf(postgres, evidence) : [];
  if (findings.length > 0) return { verdict: 'divergent', findings, gaps };
  if (!isSettled) return { verdict: 'in flight', findings, gaps };
  return { verdict: gaps.length > 0 ? 'not disproven' : 'proven', findings, gaps };
}

const SETTLED = new Set(['applied', 'compensated', 'refused']);

/** MongoDB or Temporal knows it, and PostgreSQL does not. */
function judgeUnrecorded({ mongo, temporal }: Evidence): Verdict {
  if (mongo?.state === 'applied') {
    const says =
      "MongoDB's ledger has it applied, and PostgreSQL's has never heard of it: PostgreSQL went back in time, or its ledger was collected before MongoDB's.";
    return { verdict: 'divergent', findings: [{ kind: 'orphan', says }], gaps: [] };
  }
  if (temporal?.outcome?.status === 'applied') {
    const gap =
      'Its workflow answered applied, and neither ledger knows it: both rows were collected, or the stores are not the ones that it ran on. Check DATABASE_URL and MONGODB_URI.';
    return { verdict: 'not disproven', findings: [], gaps: [gap] };
  }
  return { verdict: 'in flight', findings: [], gaps: [] };
}

function openFindings({ postgres, temporal }: Evidence): Finding[] {
  // A living workflow, or one that did not answer, may still drive it.
  if (!postgres?.isOverdue || temporal === undefined || temporal?.status === 'RUNNING') return [];
  const says = `It is ${postgres.state} and overdue, and no workflow runs it: a worker's janitor takes it up within seconds; if none does, no worker runs.`;
  return [{ kind: 'stuck', says }];
}

function settledFindings(postgres: PostgresEntry, evidence: Evidence): Finding[] {
  return [
    ...ledgerFindings(postgres, evidence),
    ...(evidence.documents ?? []).flatMap(documentFindings),
    ...temporalFindings(postgres, evidence),
  ];
}

function ledgerFindings({ state }: PostgresEntry, { mongo, form }: Evidence): Finding[] {
  if (state !== 'applied' && mongo?.state === 'applied') {
    const says = `PostgreSQL's ledger says ${state}, and MongoDB's applied.`;
    return [{ kind: 'orphan', says }];
  }
  if (state === 'applied' && form === 'transaction' && mongo?.state !== 'applied') {
    const says = `PostgreSQL's ledger says applied, and MongoDB's ${mongo?.state ?? 'nothing'}.`;
    return [{ kind: 'lost', says }];
  }
  return [];
}

function documentFindings(evidence: DocumentEvidence): Finding[] {
  const { document, postgresVersion, mongoVersion, isInFlight } = evidence;
  if (postgresVersion === null || mongoVersion === null) {
    if (isInFlight || postgresVersion === mongoVersion) return [];
    const [has, lacks] =
      mongoVersion === null ? ['PostgreSQL', 'MongoDB'] : ['MongoDB', 'PostgreSQL'];
    const kind = mongoVersion === null ? 'lost' : 'Mongo ahead';
    return [{ kind, says: `${document} has a version in ${has}, and none in ${lacks}.` }];
  }
  const ahead = BigInt(mongoVersion) - BigInt(postgresVersion);
  const versions = `version ${postgresVersion} in PostgreSQL, ${mongoVersion} in MongoDB`;
  if (ahead > 0n) return [{ kind: 'Mongo ahead', says: `${document}: ${versions}.` }];
  if (isInFlight) return [];
  if (ahead < 0n) return [{ kind: 'stale', says: `${document}: ${versions}.` }];
  return contentFindings(evidence);
}

function contentFindings(evidence: DocumentEvidence): Finding[] {
  const { document, isLiveInPostgres, isLiveInMongo, changes = [], removes = [] } = evidence;
  if (isLiveInPostgres !== isLiveInMongo) {
    const [has, lacks] = isLiveInMongo ? ['MongoDB', 'PostgreSQL'] : ['PostgreSQL', 'MongoDB'];
    return [{ kind: 'ghost', says: `${document} is there in ${has}, and gone in ${lacks}.` }];
  }
  const fields = [...changes, ...removes];
  if (!isLiveInMongo || fields.length === 0) return [];
  const says = `${document} differs from PostgreSQL's image at the same version, in ${fields.join(', ')}: somebody wrote past Twinwrite.`;
  return [{ kind: 'ghost', says }];
}

function temporalFindings({ state }: PostgresEntry, { temporal }: Evidence): Finding[] {
  const told = temporal?.outcome?.status;
  if (told === undefined || told === state) return [];
  const says = `Its workflow answered ${told}, and PostgreSQL's ledger says ${state}.`;
  return [{ kind: 'contradiction', says }];
}

function gapsOf({ state }: PostgresEntry, { form, documents }: Evidence): string[] {
  // What was never written has no document of its own to compare.
  if (state === 'refused' || form === 'transaction' || documents !== undefined) return [];
  return [
    "Its documents were not compared: that takes its definition from the config file, and its input, which Temporal's history has or --input gives.",
  ];
}
