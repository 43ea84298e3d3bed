import { STORE_COLLECTION } from '../../activities/mongo/epoch';
import type { Migration as MongoMigration } from '../../activities/mongo/migrate';
import { BOOTSTRAP, type Migration as PostgresMigration } from '../../activities/postgres/migrate';

interface Done {
  readonly database: string;
  readonly applied: readonly { readonly version: number; readonly name: string }[];
}

export function describeResult(done: { readonly postgres: Done; readonly mongo: Done }): string {
  return [
    `PostgreSQL database "${done.postgres.database}": ${appliedText(done.postgres)}`,
    `MongoDB database "${done.mongo.database}": ${appliedText(done.mongo)}`,
  ].join('\n');
}

function appliedText({ applied }: Done): string {
  if (applied.length === 0) return 'nothing to do, it is up to date.';
  return `applied ${applied.map(({ version, name }) => `${version} ${name}`).join(', ')}.`;
}

export interface Plan {
  readonly postgres: { readonly database: string; readonly pending: readonly PostgresMigration[] };
  readonly mongo: { readonly database: string; readonly pending: readonly MongoMigration[] };
  readonly searchAttributes: { readonly namespace: string; readonly pending: readonly string[] };
}

/**
 * What `migrate` would do, as a file that psql can run: what is not for PostgreSQL stands in
 * comments.
 */
export function planText({ postgres, mongo, searchAttributes }: Plan): string {
  return [
    `-- PostgreSQL database "${postgres.database}": ${pendingText(postgres.pending)}`,
    ...(postgres.pending.length === 0 ? [] : [BOOTSTRAP]),
    ...postgres.pending.map(migrationText),
    `-- MongoDB database "${mongo.database}": ${pendingText(mongo.pending)}`,
    ...mongo.pending.flatMap(collectionLines),
    `-- Temporal${searchAttributes.namespace === '' ? '' : ` namespace "${searchAttributes.namespace}"`}: ${searchAttributes.pending.length === 0 ? 'nothing to do' : 'search attributes'}`,
    ...searchAttributes.pending.map(
      (name) => `--   temporal operator search-attribute create --name ${name} --type Keyword`,
    ),
  ].join('\n');
}

function migrationText({ version, name, sql }: PostgresMigration): string {
  return [
    `-- ${version} ${name}`,
    'begin;',
    sql.trim(),
    `insert into twinwrite.migration (version, name) values (${version}, '${name}');`,
    'commit;\n',
  ].join('\n');
}

function collectionLines({ version, name, collections }: MongoMigration): string[] {
  return [
    `--   ${version} ${name}`,
    ...collections.map((collection) => `--   db.createCollection("${collection}")`),
    `--   db.${STORE_COLLECTION}: one document, which records migration ${version}`,
  ];
}

function pendingText(pending: readonly unknown[]): string {
  return pending.length === 0 ? 'nothing to do' : `${pending.length} migrations`;
}
