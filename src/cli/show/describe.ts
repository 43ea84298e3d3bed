import { isLeg, meaningOf } from '../../domain/progress';
import { retryCommandOf } from '../../domain/retry-command';
import { tableOf } from '../output';
import { describeParked } from '../standing';
import type { UpdateReport } from './show';

/** One update, for people. */
export function describeUpdate(report: UpdateReport): string {
  const { definition, token, state, workflow, webUrl } = report;
  return [
    `${definition} ${token}: ${state}`,
    ...outcomeLines(report),
    ...parkedLines(report),
    workflow === null
      ? 'Workflow  none: Temporal has forgotten it, or it never had one of its own'
      : `Workflow  ${workflow.workflowId} (${workflow.status}), started ${workflow.startedAt}${workflow.closedAt === null ? '' : `, closed ${workflow.closedAt}`}`,
    // A link to a page that is not there helps nobody.
    ...(workflow === null || webUrl === null ? [] : [`Web UI    ${webUrl}`]),
    ...(report.legs.length === 0 ? [] : [legTable(report)]),
    ...ledgerLines(report),
    ...adviceFor(report),
  ].join('\n');
}

function outcomeLines({ outcome }: UpdateReport): string[] {
  if (outcome === null) return [];
  if (outcome.status === 'applied') return [`Result    ${JSON.stringify(outcome.result)}`];
  return [`Reason    ${outcome.reason.code}: ${outcome.reason.message}`];
}

function parkedLines({ parked, definition, token }: UpdateReport): string[] {
  if (parked === null) return [];
  const command = retryCommandOf(definition, token);
  return [`Parked    ${describeParked(parked)}`, `          once the cause is mended: ${command}`];
}

function legTable({ legs, outcome }: UpdateReport): string {
  const known = outcome === null ? {} : { outcome };
  const rows = legs.map(({ leg, title, answer, attempts, durationMillis, lastFailure }) => [
    title,
    isLeg(leg) ? meaningOf({ leg, answer }, known) : answer,
    String(attempts),
    durationMillis === null ? '' : `${durationMillis} ms`,
    lastFailure ?? '',
  ]);
  return tableOf(['Leg', 'Answer', 'Attempts', 'Took', 'Last failure'], rows);
}

function ledgerLines({ ledger: { postgres, mongo } }: UpdateReport): string[] {
  const lines: string[] = [];
  if (postgres === null) lines.push('PostgreSQL ledger  nothing');
  if (postgres) {
    const { postgresLeg, mongoLeg, at, entities, documents } = postgres;
    lines.push(`PostgreSQL ledger  Postgres ${postgresLeg}, Mongo ${mongoLeg}, since ${at}`);
    if (entities?.length) lines.push(`  holds ${entities.join(', ')}`);
    if (documents?.length) lines.push(`  projects ${documents.join(', ')}`);
  }
  if (mongo === null) lines.push('MongoDB ledger     nothing (a projection has no entry there)');
  if (mongo) lines.push(`MongoDB ledger     ${mongo.state}, since ${mongo.at}`);
  return lines;
}

function adviceFor({ workflow, outcome, definition }: UpdateReport): string[] {
  if (outcome !== null || workflow === null || workflow.status === 'RUNNING') return [];
  return [
    `Its workflow ended without an outcome. Submit ${definition} again with the same input: the ledger answers, or the update goes on.`,
  ];
}
