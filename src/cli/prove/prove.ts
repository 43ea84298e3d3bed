import type { MongoClient } from 'mongodb';
import type { Pool } from 'pg';
import { readInterventions } from '../../activities/interventions';
import { readMongoEntry, readPostgresEntry } from '../../activities/ledger-entries';
import { readDocumentEvidence, readRecordedClaim } from '../../activities/proof';
import { readStoresConfig } from '../../config';
import type { ProveCommandOptions } from '../commands/prove';
import { EXIT } from '../failure';
import { throwUnknown } from '../look-up';
import { createOutput } from '../output';
import { openMongo, openPostgres } from '../stores';
import { describeProof } from './describe';
import { findInput, readInputFile } from './input';
import { findReferences } from './references';
import { askTemporal } from './temporal';
import { type Evidence, judge, type TemporalEvidence, type Verdict } from './verdict';

/** Everything that was compared, and what it says. */
export interface ProofReport extends Verdict {
  readonly definition: string;
  readonly token: string;
  readonly evidence: Omit<Evidence, 'temporal'> & {
    readonly temporal: TemporalEvidence | null | 'no answer';
    readonly interventions: Awaited<ReturnType<typeof readInterventions>>;
  };
}

/** Compares what both stores and Temporal have of one update. */
export async function prove(
  name: string,
  token: string,
  options: ProveCommandOptions,
): Promise<void> {
  const output = createOutput(options);
  const given = options.input === undefined ? undefined : readInputFile(options.input);
  const { postgresUrl, mongoUri } = readStoresConfig();
  const postgres = await openPostgres(postgresUrl, 1);
  try {
    const mongo = await openMongo(mongoUri);
    try {
      const report = await gather({ name, token, config: options.config, given, postgres, mongo });
      output.result(report, describeProof(report));
      const isBad = report.verdict === 'divergent' || report.verdict === 'unknown';
      if (isBad) process.exitCode = EXIT.failed;
    } finally {
      await mongo.close();
    }
  } finally {
    await postgres.end();
  }
}

interface Question {
  readonly name: string;
  readonly token: string;
  readonly config: string;
  /** The input as the command line gives it. */
  readonly given: unknown;
  readonly postgres: Pool;
  readonly mongo: MongoClient;
}

/**
 * Asks in the order in which an update goes: what is asked later can only know more. Temporal comes
 * first, since its answer is old the moment it is given.
 */
async function gather({ name, token, config, given, postgres, mongo }: Question) {
  const temporal = await askTemporal(name, token);
  const mongoEntry = (await readMongoEntry(mongo, name, token)) ?? null;
  const postgresEntry = (await readPostgresEntry(postgres, name, token)) ?? null;
  if (postgresEntry === null && mongoEntry === null && !temporal.evidence) {
    await throwUnknown(name, token, config);
  }
  const claim = await readRecordedClaim(postgres, name, token);
  const input = findInput({ name, token, claim, given, fromTemporal: temporal.input });
  const references = await findReferences(config, name, input);
  const documents =
    references === undefined
      ? undefined
      : await readDocumentEvidence(postgres, mongo.db(), references);
  const evidence: Evidence = {
    postgres: postgresEntry,
    mongo: mongoEntry,
    temporal: temporal.evidence,
    form: claim?.form ?? undefined,
    documents,
  };
  const interventions = await readInterventions(postgres, name, token);
  const report: ProofReport = {
    definition: name,
    token,
    ...judge(evidence),
    evidence: {
      ...evidence,
      temporal: temporal.evidence === undefined ? 'no answer' : temporal.evidence,
      interventions,
    },
  };
  return report;
}
