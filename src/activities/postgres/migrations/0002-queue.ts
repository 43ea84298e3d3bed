/**
 * Holds, and the queue of those that wait for one (clause 7).
 *
 * - An update with a way back, or in the transaction form, holds its keys from its Postgres commit
 *   until it is settled; every update waits for a hold.
 * - A waiter is a row with a ticket. Tickets are drawn while all of the waiter's entity rows are
 *   locked, so that their order is the order of the locks on every key that two of them share:
 *   first come, first served, and no cycle.
 * - What is handed on is the turn, not the hold: whoever releases a key calls its first waiter,
 *   which claims again and takes all of its keys at once or goes on waiting. Nobody overtakes it
 *   meanwhile, because an entity that is waited for is not taken by newcomers.
 *
 * Lock order, everywhere: tokens < entities < own pending row < the user's rows < pending rows of
 * those who are called.
 */
export const queue = {
  version: 2,
  name: 'queue',
  sql: /*sql*/ `
    -- Who waits for a key, in ticket order. Its rows change only under the lock of the entity's row.
    create table twinwrite.waiting (
      key text collate "C" not null,
      ticket bigint not null,
      primary key (key, ticket)
    );

    -- Calls that nothing else would repeat.
    create table twinwrite.call (
      workflow text primary key,
      due timestamptz not null
    );

    -- Why it needs somebody, and which step says so; null while it runs by itself.
    alter table twinwrite.pending add column parked text;

    -- How often it was called in vain since its turn came: the calls grow rarer.
    alter table twinwrite.pending add column calls int not null default 0;

    -- What the ledger answers now. A type of its own: the first one is what legs in flight are being answered with, and must not change under them.
    create type twinwrite.ledger_reply as (
      answer text, state twinwrite.ledger_state, fingerprint text, ticket text, result text, reason text,
      form twinwrite.mongo_form, undoable boolean, entities text[], documents text[], workflow text, by_turn boolean, turns text[]
    );

    create function twinwrite.holds(form twinwrite.mongo_form, undoable boolean) returns boolean
    language sql immutable as $$ select form = 'transaction' or undoable $$;

    -- What the ledger knows of a token. A locking read waits for whoever is changing it, and takes part in synchronous replication.
    create function twinwrite.recollect(in_definition text, in_token text, locking boolean default true) returns twinwrite.ledger_reply
    language plpgsql as $$
    declare
      known twinwrite.ledger_reply;
      current_stage twinwrite.pending_stage;
    begin
      if locking then
        perform from twinwrite.ledger l where l.definition = in_definition and l.token = in_token for update;
      end if;
      select l.state, l.fingerprint, l.ticket::text, l.result, l.reason
        into known.state, known.fingerprint, known.ticket, known.result, known.reason
        from twinwrite.ledger l where l.definition = in_definition and l.token = in_token;
      if not found then
        known.answer := 'unknown';
        return known;
      end if;
      select p.stage, p.form, p.undoable, p.entities, p.documents, p.workflow
        into current_stage, known.form, known.undoable, known.entities, known.documents, known.workflow
        from twinwrite.pending p where p.ticket = known.ticket::bigint;
      known.answer := case
        when not found then 'settled'
        when current_stage in ('queued', 'granted') then 'waiting'
        when current_stage = 'undoing' then 'undoing'
        else 'forward' end;
      return known;
    end $$;

    -- The keys of an update in the one order in which they are locked.
    create function twinwrite.keys_of(entities text[], documents text[]) returns text[]
    language sql immutable as $$ select array(select distinct k collate "C" from unnest(entities || documents) k order by 1) $$;

    create function twinwrite.lock_keys(keys text[]) returns void
    language plpgsql as $$
    begin
      perform from twinwrite.entity e where e.key = any(keys) order by e.key for update;
    end $$;

    -- Takes all keys, giving each its next version and a holder its hold, or none of them: where one is held or waited for. Either way all of them are locked.
    -- The condition is judged on the locked row; in a statement of its own it could be older than the lock (F7).
    create function twinwrite.take(in_ticket bigint, keys text[], holder bigint) returns boolean
    language plpgsql as $$
    declare
      taken int;
    begin
      insert into twinwrite.entity as e (key, version, holder)
        select k.key, s.epoch::bigint * 1099511627776 + 1, take.holder from unnest(keys) k(key), twinwrite.store s order by k.key collate "C"
        on conflict (key) do update set version = greatest(e.version + 1, excluded.version), holder = excluded.holder
          where e.holder is null and e.waiting = 0;
      get diagnostics taken = row_count;
      if taken = cardinality(keys) then
        return true;
      end if;
      update twinwrite.entity e set holder = null where e.key = any(keys) and e.holder = in_ticket;
      return false;
    end $$;

    -- The same for a ticket that waited: it is first on each of its keys, and nobody holds one.
    create function twinwrite.take_turn(in_ticket bigint, keys text[], holder bigint) returns boolean
    language plpgsql as $$
    begin
      perform twinwrite.lock_keys(keys);
      if exists (select from twinwrite.entity e where e.key = any(keys) and e.holder is not null)
        or exists (select from twinwrite.waiting w where w.key = any(keys) and w.ticket < in_ticket) then
        return false;
      end if;
      delete from twinwrite.waiting w where w.key = any(keys) and w.ticket = in_ticket;
      update twinwrite.entity e
        set waiting = e.waiting - 1, holder = take_turn.holder, version = greatest(e.version, s.epoch::bigint * 1099511627776) + 1
        from twinwrite.store s where e.key = any(keys);
      return true;
    end $$;

    -- Calls the first waiter of each key, whose lock the caller has, and answers their workflows: to be signalled after the commit. Their due time covers a signal that is lost.
    create function twinwrite.call_next(keys text[]) returns text[]
    language plpgsql as $$
    declare
      called bigint[];
    begin
      select array_agg(distinct first.ticket) into called
        from unnest(keys) k(key), lateral (select min(w.ticket) as ticket from twinwrite.waiting w where w.key = k.key) first
        where first.ticket is not null;
      if called is null then
        return '{}';
      end if;
      perform from twinwrite.pending p where p.ticket = any(called) order by p.ticket for update;
      update twinwrite.pending p set stage = 'granted', calls = 0, due = now() + interval '2 seconds' where p.ticket = any(called);
      return array(select p.workflow from twinwrite.pending p where p.ticket = any(called));
    end $$;

    -- Lets go of what the ticket holds, whatever the definition would name today (F30). The caller has locked the keys.
    create function twinwrite.release(in_ticket bigint, keys text[]) returns text[]
    language plpgsql as $$
    declare
      waiters bigint;
    begin
      with released as (
        update twinwrite.entity e set holder = null where e.key = any(keys) and e.holder = in_ticket returning e.waiting
      ) select coalesce(sum(waiting), 0) into waiters from released;
      return case when waiters = 0 then '{}' else twinwrite.call_next(keys) end;
    end $$;

    -- Calls a workflow that waits for a token which another driver took out of the queue. No pending row says so any more: the call is kept until it was heard.
    create function twinwrite.call_waiter(waiter text, driver text) returns text[]
    language plpgsql as $$
    begin
      if waiter = driver then
        return '{}';
      end if;
      insert into twinwrite.call (workflow, due) values (waiter, now() + interval '2 seconds') on conflict do nothing;
      return array[waiter];
    end $$;

    -- Calls again those who did not come: a signal was lost, or their worker.
    create function twinwrite.call_overdue(at_most int) returns setof text
    language sql as $$
      with late as (
        update twinwrite.pending p set calls = p.calls + 1, due = now() + least(2 * 2 ^ p.calls, 300) * interval '1 second'
          where p.ticket in (
            select o.ticket from twinwrite.pending o where o.stage = 'granted' and o.due < now() and o.parked is null
            order by o.due limit at_most for update skip locked)
          returning p.workflow
      ), kept as (
        update twinwrite.call c set due = now() + interval '30 seconds'
          where c.workflow in (select o.workflow from twinwrite.call o where o.due < now() limit at_most for update skip locked)
          returning c.workflow
      ) select workflow from late union select workflow from kept
    $$;

    create function twinwrite.leave_queue(in_ticket bigint, keys text[]) returns text[]
    language plpgsql as $$
    begin
      perform twinwrite.lock_keys(keys);
      delete from twinwrite.waiting w where w.key = any(keys) and w.ticket = in_ticket;
      update twinwrite.entity e set waiting = e.waiting - 1 where e.key = any(keys);
      delete from twinwrite.pending p where p.ticket = in_ticket;
      return twinwrite.call_next(keys);
    end $$;
  `,
} as const;
