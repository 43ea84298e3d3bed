import { existsSync } from 'node:fs';
import {
  type MongoEntry,
  type PostgresEntry,
  readMongoEntry,
  readPostgresEntry,
} from '../activities/ledger-entries';
import { TwinwriteError } from '../domain/errors';
import type { Json } from '../domain/json';
import type { Outcome, Reason } from '../domain/outcome';
import { findDefinition, loadConfig } from './load-config';
import { openMongo, openPostgres } from './stores';

/** What PostgreSQL's ledger says: nothing known is null, nobody to ask is undefined. */
export async function lookUpPostgres(
  url: string | undefined,
  name: string,
  token: string,
): Promise<PostgresEntry | null | undefined> {
  if (url === undefined) return undefined;
  const postgres = await openPostgres(url, 1);
  try {
    return (await readPostgresEntry(postgres, name, token)) ?? null;
  } finally {
    await postgres.end();
  }
}

/** The same of MongoDB's. */
export async function lookUpMongo(
  uri: string | undefined,
  name: string,
  token: string,
): Promise<MongoEntry | null | undefined> {
  if (uri === undefined) return undefined;
  const mongo = await openMongo(uri);
  try {
    return (await readMongoEntry(mongo, name, token)) ?? null;
  } finally {
    await mongo.close();
  }
}

/** The outcome that the ledger has, once it is settled. */
export function recordedOutcome({ state, result, reason }: PostgresEntry): Outcome | undefined {
  if (state === 'applied')
    return { status: state, result: result === null ? null : (JSON.parse(result) as Json) };
  if (state !== 'compensated' && state !== 'refused') return undefined;
  const unknown: Reason = { code: 'RefusedByDefinition', message: 'No reason is recorded' };
  return { status: state, reason: reason === null ? unknown : (JSON.parse(reason) as Reason) };
}

/** @throws UsageError for a misspelled name, TwinwriteError `UnknownUpdate` */
export async function throwUnknown(name: string, token: string, file: string): Promise<never> {
  // A misspelled name is the likelier reason, and the config file can tell. One that does not load
  // is not what was asked about.
  if (existsSync(file)) {
    const config = await loadConfig(file).catch(() => undefined);
    if (config !== undefined) findDefinition(config, name, file);
  }
  throw new TwinwriteError('UnknownUpdate', { definition: name, token });
}
