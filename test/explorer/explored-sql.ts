import type { migrations } from '../../src/activities/postgres/migrate';

/**
 * Migrations of parts that are not explored. Whatever of them is called all the same fails, since
 * the model does not have it.
 */
const UNEXPLORED: ReadonlySet<string> = new Set([
  // No store of the model goes back in time: the production guards exempt the processes' pools.
  'epochs',
  // Rows that starts are made of: no leg and no driver reads or writes them.
  'outbox',
]);

/**
 * Nobody expects versions here, and so nothing that computes with jsonb is needed. Production asks
 * at every turn, all the same, whether somebody does: should there be one, `versions_before` is
 * called, which the model does not know, and the schedule fails.
 */
const WITHOUT_EXPECTATIONS = /*sql*/ `
  create or replace function twinwrite.expected_by(in_ticket bigint, in_expected jsonb) returns table (expected jsonb, versions jsonb)
  language sql as $$
    select p.expected, case when in_expected is not null or p.expected is not null then twinwrite.versions_before('{}', '{}', true) end
      from twinwrite.pending p where p.ticket = in_ticket
  $$;
`;

/** What the migrations declare of what is explored. */
export function exploredSql(given: typeof migrations): readonly string[] {
  const explored = given.filter(({ name }) => !UNEXPLORED.has(name));
  return [...explored.map(({ sql }) => sql), WITHOUT_EXPECTATIONS];
}
