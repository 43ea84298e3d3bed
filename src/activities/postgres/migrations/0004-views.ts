/** What an operator looks at, in plain SQL (clause 11). */
export const views = {
  version: 4,
  name: 'views',
  sql: /*sql*/ `
    -- Every update that the ledger knows, in words.
    create or replace view twinwrite.updates as
      select l.definition, l.token,
        case when p.ticket is null
          then case l.state when 'applied' then 'applied' when 'undone' then 'compensated' else 'refused' end
          when p.parked is not null then 'parked'
          else p.stage::text end as state,
        case l.state when 'applied' then 'applied' when 'undone' then 'undone' when 'queued' then 'waiting' else 'never ran' end as postgres_leg,
        case when l.state = 'queued' then 'waiting' when p.ticket is not null then 'pending' when l.state = 'applied' then 'applied'
          when l.state = 'undone' then 'undone' else 'never ran' end as mongo_leg,
        l.at, now() - l.at as age, p.form, p.undoable, p.entities, p.documents, p.due,
        coalesce(p.workflow, l.definition || '/' || l.token) as workflow, l.result, l.reason, p.parked
      from twinwrite.ledger l left join twinwrite.pending p using (ticket);

    -- The same as updates, for what is not settled: it begins with the small table, where a condition on the state of updates reads the whole ledger.
    create view twinwrite.unsettled as
      select l.definition, l.token, case when p.parked is not null then 'parked' else p.stage::text end as state, p.parked, p.due, p.due < now() as overdue,
        l.at, now() - l.at as age, p.form, p.undoable, p.entities, p.documents, p.workflow, l.reason, p.ticket
      from twinwrite.pending p cross join lateral unnest(p.tokens) member (token)
        -- "offset 0" keeps the planner from a join that reads the whole ledger.
        cross join lateral (
          select l.* from twinwrite.ledger l
            where l.definition = p.definition collate "C" and l.token = member.token collate "C" and l.ticket = p.ticket offset 0
        ) l;
    comment on view twinwrite.unsettled is 'Every update that is not settled. Cheap: it does not read the ledger''s other rows.';
    comment on view twinwrite.updates is 'Every update that the ledger knows, in words. Ask it by definition and token; for what is not settled ask twinwrite.unsettled.';
    comment on column twinwrite.updates.definition is 'The definition''s name.';
    comment on column twinwrite.updates.token is 'The deduplication token, unique within its definition.';
    comment on column twinwrite.updates.state is 'applied, compensated or refused once it is settled; before: queued (waits for a hold), granted (its turn has come), forward, undoing, parked (needs somebody).';
    comment on column twinwrite.updates.postgres_leg is 'What PostgreSQL has of it: applied, undone, waiting, or never ran.';
    comment on column twinwrite.updates.mongo_leg is 'What MongoDB has of it: applied, undone, never ran; waiting or pending while it is not settled.';
    comment on column twinwrite.updates.at is 'When the token was claimed; when it was settled, if that was long after.';
    comment on column twinwrite.updates.age is 'The time since then.';
    comment on column twinwrite.updates.form is 'projection or transaction, as recorded with the claim; null once it is settled.';
    comment on column twinwrite.updates.undoable is 'Whether there was an undo when it was claimed; null once it is settled.';
    comment on column twinwrite.updates.entities is 'What it must not interleave on; null once it is settled.';
    comment on column twinwrite.updates.documents is 'The documents that it projects, as collection/id; null once it is settled.';
    comment on column twinwrite.updates.due is 'By when its driver meant to be done, infinity while it waits; null once it is settled.';
    comment on column twinwrite.updates.workflow is 'The id of the workflow that drives it or drove it.';
    comment on column twinwrite.updates.result is 'What apply returned, as JSON.';
    comment on column twinwrite.updates.reason is 'Why it is refused, compensated or being undone, as JSON with a code.';
    comment on column twinwrite.updates.parked is 'Why it needs somebody; null while it runs by itself, and once it is settled.';
  `,
} as const;
