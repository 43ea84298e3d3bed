/**
 * The transactional outbox: starts of updates that somebody's own transaction enlists, for a worker
 * to relay to Temporal once they are committed.
 *
 * A table of its own and not rows of `pending`: nothing is claimed yet, no entity is locked, and an
 * application's transaction touches nothing that a leg waits for. `enlist` is called with one text
 * parameter, since that is what every driver and ORM passes in the same way.
 */
export const outbox = {
  version: 7,
  name: 'outbox',
  sql: /*sql*/ `
    -- Small: a row is deleted when Temporal has the start. The input is json and not jsonb, which would write it in another way.
    create table twinwrite.outbox (
      id bigint generated always as identity primary key,
      definition text collate "C" not null,
      token text collate "C" not null,
      fingerprint text not null,
      task_queue text not null,
      input json not null,
      entities json not null,
      leg_timeout_millis int not null,
      details text not null,
      at timestamptz not null default clock_timestamp(),
      due timestamptz not null default clock_timestamp(),
      attempts int not null default 0,
      parked text
    );
    -- One that was refused stands in nobody's way: its token may be another's by right (F11).
    create unique index outbox_token on twinwrite.outbox (definition, token) where parked is null;
    create index outbox_due on twinwrite.outbox (task_queue, due);

    create function twinwrite.starts_of(starts text)
    returns table (number bigint, definition text, token text, fingerprint text, task_queue text, input json, entities json, leg_timeout_millis int, details text)
    language sql immutable as $$
      select s.number, s.definition, s.token, s.fingerprint, s."taskQueue", s.input::json, s.entities, s."legTimeoutMillis", s.details
        from rows from (json_to_recordset(starts::json) as (
          definition text, token text, fingerprint text, "taskQueue" text, input text, entities json, "legTimeoutMillis" int, details text
        )) with ordinality s (definition, token, fingerprint, "taskQueue", input, entities, "legTimeoutMillis", details, number)
    $$;

    -- Enlists all of the starts in the caller's transaction, or none where a token stands for another input: the answer is a JSON list of their places, from 0.
    -- Sorted, so that two callers with the same tokens wait for each other and do not deadlock (F33).
    create function twinwrite.enlist(starts text) returns text
    language plpgsql as $$
    declare
      added bigint[] := '{}';
      inserted_now bigint[];
      reused text;
    begin
      loop
        with inserted as (
          insert into twinwrite.outbox (definition, token, fingerprint, task_queue, input, entities, leg_timeout_millis, details)
            select s.definition, s.token, s.fingerprint, s.task_queue, s.input, s.entities, s.leg_timeout_millis, s.details
              from twinwrite.starts_of(starts) s order by s.definition collate "C", s.token collate "C", s.number
            on conflict (definition, token) where parked is null do nothing
            returning id
        ) select coalesce(array_agg(id), '{}') into inserted_now from inserted;
        added := added || inserted_now;
        -- A relay may have taken away, in between, what an insert had met: nobody could say any more which input that was.
        exit when not exists (
          select from twinwrite.starts_of(starts) s where not exists (
            select from twinwrite.outbox o
              where o.definition = s.definition collate "C" and o.token = s.token collate "C" and o.parked is null));
      end loop;
      select json_agg(distinct s.number - 1)::text into reused
        from twinwrite.starts_of(starts) s
        left join twinwrite.outbox o on o.definition = s.definition collate "C" and o.token = s.token collate "C" and o.parked is null
        left join twinwrite.ledger l on l.definition = s.definition collate "C" and l.token = s.token collate "C"
        where o.fingerprint <> s.fingerprint or l.fingerprint <> s.fingerprint;
      if reused is not null then
        delete from twinwrite.outbox o where o.id = any(added);
        return reused;
      end if;
      -- The commit of a transaction that notifies takes a lock on the whole database (F33): one that enlists nothing new does not.
      perform pg_notify('twinwrite_outbox', q.task_queue)
        from (select distinct o.task_queue from twinwrite.outbox o where o.id = any(added)) q;
      return '[]';
    end $$;

    create view twinwrite.enlisted as
      select o.definition, o.token, o.task_queue, case when o.parked is null then 'waiting' else 'parked' end as state,
        o.parked, o.attempts, o.due, o.at, now() - o.at as age, o.id
      from twinwrite.outbox o;
    comment on view twinwrite.enlisted is 'Every update that a transaction enlisted and Temporal does not have yet.';
    comment on column twinwrite.enlisted.state is 'waiting: it is started within a second, or when Temporal is back; parked: its start was refused, and it needs somebody.';
    comment on column twinwrite.enlisted.parked is 'Why its start was refused. It is tried again, ever more rarely; an update of twinwrite.outbox that sets due = now() does so at once, and a delete gives it up.';
    comment on column twinwrite.enlisted.attempts is 'How many starts of it failed.';
    comment on column twinwrite.enlisted.due is 'When it is started, or tried again.';
    comment on column twinwrite.enlisted.at is 'When it was enlisted; its transaction was committed after that.';
  `,
} as const;
