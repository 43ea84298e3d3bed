import type { DocumentEvidence } from '../../activities/proof';
import { isLeg, meaningOf } from '../../domain/progress';
import type { ProofReport } from './prove';
import type { VerdictName } from './verdict';

/** The verdict with its evidence, for people. */
export function describeProof(report: ProofReport): string {
  const { definition, token, verdict, findings, gaps } = report;
  return [
    `${definition} ${token}: ${verdict}`,
    MEANINGS[verdict],
    ...findings.map(({ kind, says }) => `Divergence         ${kind}: ${says}`),
    ...gaps.map((gap) => `Not compared       ${gap}`),
    ...evidenceLines(report),
  ].join('\n');
}

const MEANINGS: Readonly<Record<VerdictName, string>> = {
  proven: 'It has one outcome, and both stores show it.',
  'in flight': 'It is not settled yet: ask again once it is.',
  'not disproven': 'Nothing contradicts, but not everything could be compared.',
  divergent: 'The stores do not agree.',
  unknown: 'Nobody knows this token.',
};

function evidenceLines({ evidence }: ProofReport): string[] {
  const { postgres, mongo, temporal, documents, interventions } = evidence;
  return [
    postgres === null
      ? 'PostgreSQL ledger  nothing'
      : `PostgreSQL ledger  ${postgres.state} since ${postgres.at}: Postgres ${postgres.postgresLeg}, Mongo ${postgres.mongoLeg}`,
    mongo === null
      ? 'MongoDB ledger     nothing (a projection has no entry there)'
      : `MongoDB ledger     ${mongo.state} since ${mongo.at}`,
    ...(documents ?? []).map((document) => `Document           ${documentLine(document)}`),
    ...temporalLines(temporal),
    ...interventions.map(
      ({ verb, at, actor, reason }) =>
        `Intervention       ${verb} by ${actor} at ${at}${reason === '' ? '' : `: ${reason}`}`,
    ),
  ];
}

function documentLine(evidence: DocumentEvidence): string {
  const { document, postgresVersion, mongoVersion, isLiveInPostgres, isLiveInMongo } = evidence;
  const side = (version: string | null, isLive: boolean) =>
    version === null ? 'nothing' : `version ${version}${isLive ? '' : ', gone'}`;
  return `${document}: PostgreSQL ${side(postgresVersion, isLiveInPostgres)}; MongoDB ${side(mongoVersion, isLiveInMongo)}`;
}

function temporalLines(temporal: ProofReport['evidence']['temporal']): string[] {
  if (temporal === 'no answer') return ['Temporal           does not answer'];
  if (temporal === null) return ['Temporal           has forgotten it'];
  const { workflowId, status, outcome, steps } = temporal;
  const answered = outcome === null ? '' : `, answered ${outcome.status}`;
  const known = outcome === null ? {} : { outcome };
  return [
    `Temporal           ${workflowId} ${status.toLowerCase()}${answered}`,
    ...steps.map(({ leg, title, answer, attempts }) => {
      const meaning = isLeg(leg) ? meaningOf({ leg, answer }, known) : answer;
      return `  ${title}: ${meaning}${attempts > 1 ? ` after ${attempts} attempts` : ''}`;
    }),
  ];
}
