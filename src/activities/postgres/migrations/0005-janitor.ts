/**
 * What the janitor goes by (clause 9): a row whose driver is late is driven by somebody else. `due`
 * says by when that is, and every try pushes it, ever further.
 */
export const janitor = {
  version: 5,
  name: 'janitor',
  sql: /*sql*/ `
    -- How often it was tried since it last moved on, by the janitor or by a workflow that parked it.
    alter table twinwrite.pending add column tries int not null default 0;

    -- Who was called is looked for once a second, however many others are overdue while a store is away.
    create index pending_granted on twinwrite.pending (due) where stage = 'granted';

    -- How long a row is left alone after a try. One that is parked is left alone for longer than its workflow pauses (30 s, 60 s … 10 min, and half a minute for
    -- its attempts), so that the janitor never tries it more often than that does.
    create function twinwrite.pause_of(tries int, is_parked boolean) returns interval
    language sql immutable as $$
      select case when is_parked then 30 + least(30 * 2 ^ least(greatest(tries - 6, 0), 10), 600) else least(10 * 2 ^ least(greatest(tries - 1, 0), 10), 60) end
        * interval '1 second'
    $$;

    -- An update that moves on has somebody who drives it, and starts anew. A trigger, since several functions move it on.
    create function twinwrite.start_anew() returns trigger
    language plpgsql as $$
    begin
      new.tries := 0;
      if new.due = old.due then
        new.due := now() + interval '10 seconds';
      end if;
      return new;
    end $$;
    create trigger moves_on before update of stage, parked on twinwrite.pending for each row
      when (new.stage in ('forward', 'undoing') and (old.stage <> new.stage or (old.parked is not null and new.parked is null)))
      execute function twinwrite.start_anew();

    -- Takes overdue rows for a driver that has these definitions, and pushes their due time in the same statement: two that ask at once get different rows, and one
    -- that dies leaves its rows overdue again, a little later. Who waits for a turn is nobody's to drive; whose turn has come is, once it was called twice in vain.
    create function twinwrite.take_overdue(definitions text[], at_most int)
      returns table (ticket text, definition text, token text, stage text, tries int, input text, late interval)
    language sql as $$
      with overdue as materialized (
        select o.ticket, o.due from twinwrite.pending o
          where o.due < now() and o.definition = any(definitions)
            and (o.stage in ('forward', 'undoing') or (o.stage = 'granted' and (o.calls >= 2 or o.parked is not null)))
          order by o.due limit at_most for update skip locked
      )
      update twinwrite.pending p set tries = p.tries + 1, due = now() + twinwrite.pause_of(p.tries + 1, p.parked is not null)
        from overdue where p.ticket = overdue.ticket
        returning p.ticket::text, p.definition, p.tokens[1], p.stage::text, p.tries, p.input, now() - overdue.due
    $$;

    -- These workflows are gone, or out of reach: nobody will come. Whose turn has come is the janitor's at once.
    create function twinwrite.nobody_comes(workflows text[]) returns void
    language sql as $$
      with gone as (
        select p.ticket from twinwrite.pending p
          where p.stage = 'granted' and p.calls < 2 and p.parked is null and p.workflow = any(workflows) for update skip locked
      )
      update twinwrite.pending p set calls = 2, due = now() from gone where p.ticket = gone.ticket
    $$;

    -- Calls again those who did not come: a signal was lost, or their worker. Called twice in vain, the janitor drives them, which calls them as well.
    create or replace function twinwrite.call_overdue(at_most int) returns setof text
    language sql as $$
      with late as (
        update twinwrite.pending p set calls = p.calls + 1, due = now() + 2 * 2 ^ p.calls * interval '1 second'
          where p.ticket in (
            select o.ticket from twinwrite.pending o where o.stage = 'granted' and o.due < now() and o.parked is null and o.calls < 2
            order by o.due limit at_most for update skip locked)
          returning p.workflow
      ), kept as (
        update twinwrite.call c set due = now() + interval '30 seconds'
          where c.workflow in (select o.workflow from twinwrite.call o where o.due < now() limit at_most for update skip locked)
          returning c.workflow
      ) select workflow from late union select workflow from kept
    $$;

    -- Says that the update needs somebody, and why. Any later change of its stage takes that back. Who says so comes back by itself, and the janitor after that; one
    -- that waits in the queue has nothing to come back to before its turn.
    create or replace function twinwrite.park(in_definition text, in_token text, in_why text) returns void
    language sql as $$
      update twinwrite.pending p set parked = in_why, tries = greatest(p.tries + 1, 6),
          due = case when p.stage = 'queued' then p.due else now() + twinwrite.pause_of(greatest(p.tries + 1, 6), true) end
        from twinwrite.ledger l
        where l.definition = in_definition and l.token = in_token and p.ticket = l.ticket
    $$;

    comment on column twinwrite.updates.due is 'By when its driver means to be done or tries again; after that the janitor drives it. Infinity while it waits; null once it is settled.';
  `,
} as const;
