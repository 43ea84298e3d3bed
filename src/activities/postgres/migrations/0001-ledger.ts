/**
 * The ledger, what is pending, and the entities. Lock order, everywhere: tokens < entities <
 * pending < the user's rows; any other order lets two drivers of one token deadlock.
 */
export const ledger = {
  version: 1,
  name: 'ledger',
  sql: /*sql*/ `
    create type twinwrite.ledger_state as enum ('queued', 'applied', 'undone', 'refused', 'fenced');
    create type twinwrite.pending_stage as enum ('enlisted', 'queued', 'granted', 'forward', 'undoing', 'parked');
    create type twinwrite.mongo_form as enum ('projection', 'transaction');
    create sequence twinwrite.ticket as bigint;

    -- What a token ever meant. On the happy path a row is inserted, gets its result, and is never touched again.
    create table twinwrite.ledger (
      definition text collate "C" not null,
      token text collate "C" not null,
      state twinwrite.ledger_state not null,
      ticket bigint not null,
      fingerprint text not null,
      result text,
      reason text,
      input text,
      at timestamptz not null default now(),
      primary key (definition, token)
    );

    -- What is not settled: the janitor's list and the queue. Small; a settled update has no row here.
    create table twinwrite.pending (
      ticket bigint primary key,
      stage twinwrite.pending_stage not null,
      definition text not null,
      tokens text[] not null,
      workflow text not null,
      form twinwrite.mongo_form not null,
      undoable boolean not null,
      entities text[] not null,
      documents text[] not null,
      input text,
      due timestamptz not null
    );
    create index pending_due on twinwrite.pending (due);

    -- What two updates must not interleave on, every projected document among them ('orders/0198…'). A version is epoch * 2^40 + n.
    create table twinwrite.entity (
      key text collate "C" primary key,
      version bigint not null,
      holder bigint,
      waiting int not null default 0
    ) with (fillfactor = 80);

    create table twinwrite.store (
      one boolean primary key default true check (one),
      epoch int not null default 0,
      tick bigint not null default 0,
      mongo_tick bigint not null default 0,
      stopped text
    );
    insert into twinwrite.store default values;

    create type twinwrite.recollection as (
      answer text, state twinwrite.ledger_state, fingerprint text, ticket text, result text, reason text,
      form twinwrite.mongo_form, undoable boolean, entities text[], documents text[]
    );

    -- What the ledger knows of a token. A locking read waits for whoever is changing it, and takes part in synchronous replication.
    create function twinwrite.recall(in_definition text, in_token text, locking boolean default true) returns twinwrite.recollection
    language plpgsql as $$
    declare
      known twinwrite.recollection;
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
      select p.stage, p.form, p.undoable, p.entities, p.documents
        into current_stage, known.form, known.undoable, known.entities, known.documents
        from twinwrite.pending p where p.ticket = known.ticket::bigint;
      known.answer := case when not found then 'settled' when current_stage = 'undoing' then 'undoing' else 'forward' end;
      return known;
    end $$;

    -- Each key's next version. The row lock that assigns it is held to the end of the transaction, so versions are in the order of the commits.
    create function twinwrite.bump(keys text[]) returns void
    language plpgsql as $$
    begin
      insert into twinwrite.entity as e (key, version)
        select distinct k.key collate "C", s.epoch::bigint * 1099511627776 + 1 from unnest(keys) k(key), twinwrite.store s order by 1
        on conflict (key) do update set version = greatest(e.version + 1, excluded.version);
    end $$;

    -- Clause 3. The insert waits for a twin in flight and then either wins or finds the twin's row. Every statement of a volatile function has a snapshot of its own,
    -- so what is read after a lock wait is what the wait was for.
    create function twinwrite.claim(
      in_definition text, in_token text, in_fingerprint text, in_workflow text, in_form twinwrite.mongo_form, in_undoable boolean,
      in_entities text[], in_documents text[], in_input text, due_in interval
    ) returns twinwrite.recollection
    language plpgsql as $$
    declare
      known twinwrite.recollection;
    begin
      insert into twinwrite.ledger (definition, token, state, ticket, fingerprint, input)
        values (in_definition, in_token, 'applied', nextval('twinwrite.ticket'), in_fingerprint,
          case when in_form = 'transaction' then in_input end)
        on conflict do nothing returning ticket::text into known.ticket;
      if not found then
        return twinwrite.recall(in_definition, in_token);
      end if;
      perform twinwrite.bump(in_entities || in_documents);
      insert into twinwrite.pending (ticket, stage, definition, tokens, workflow, form, undoable, entities, documents, input, due)
        values (known.ticket::bigint, 'forward', in_definition, array[in_token], in_workflow, in_form, in_undoable,
          in_entities, in_documents, in_input, now() + due_in);
      known.answer := 'claimed';
      known.state := 'applied';
      known.fingerprint := in_fingerprint;
      known.form := in_form;
      known.undoable := in_undoable;
      known.entities := in_entities;
      known.documents := in_documents;
      return known;
    end $$;

    -- Records, after the leg's rollback, that Postgres refused. The first record of a token wins, so the answer may be another's.
    create function twinwrite.refuse(in_definition text, in_token text, in_fingerprint text, in_reason text) returns twinwrite.recollection
    language plpgsql as $$
    begin
      insert into twinwrite.ledger (definition, token, state, ticket, fingerprint, reason)
        values (in_definition, in_token, 'refused', nextval('twinwrite.ticket'), in_fingerprint, in_reason)
        on conflict do nothing;
      return twinwrite.recall(in_definition, in_token);
    end $$;

    -- Clause 5. Inserting is the fence: the leg never ran and never will. Otherwise one compare-and-set on the pending row decides that it is undone.
    create function twinwrite.fence(in_definition text, in_token text, in_fingerprint text, in_reason text) returns twinwrite.recollection
    language plpgsql as $$
    declare
      known twinwrite.recollection;
    begin
      insert into twinwrite.ledger (definition, token, state, ticket, fingerprint, reason)
        values (in_definition, in_token, 'fenced', nextval('twinwrite.ticket'), in_fingerprint, in_reason)
        on conflict do nothing;
      known := twinwrite.recall(in_definition, in_token);
      if known.answer = 'forward' and known.undoable and known.fingerprint = in_fingerprint then
        update twinwrite.pending set stage = 'undoing' where ticket = known.ticket::bigint and stage in ('forward', 'parked');
        if found then
          update twinwrite.ledger set reason = in_reason where definition = in_definition and token = in_token;
        end if;
        known := twinwrite.recall(in_definition, in_token);
      end if;
      return known;
    end $$;

    -- Opens the undo of a leg. A projection's documents get a new version, which is what fences the image that was to be undone.
    create function twinwrite.begin_undo(in_definition text, in_token text) returns twinwrite.recollection
    language plpgsql as $$
    declare
      known twinwrite.recollection;
    begin
      known := twinwrite.recall(in_definition, in_token);
      if known.answer = 'undoing' and known.state = 'applied' then
        perform twinwrite.bump(known.entities || known.documents);
      end if;
      return known;
    end $$;

    create function twinwrite.finish_undo(in_definition text, in_token text) returns twinwrite.recollection
    language plpgsql as $$
    begin
      update twinwrite.ledger set state = 'undone' where definition = in_definition and token = in_token and state = 'applied';
      -- A projection is settled only when MongoDB has the image of after the undo.
      delete from twinwrite.pending p using twinwrite.ledger l
        where l.definition = in_definition and l.token = in_token and p.ticket = l.ticket and p.stage = 'undoing' and p.form = 'transaction';
      return twinwrite.recall(in_definition, in_token);
    end $$;

    -- Turns an undoing update forward again: MongoDB has it and has no undo.
    create function twinwrite.resume_forward(in_definition text, in_token text) returns twinwrite.recollection
    language plpgsql as $$
    declare
      known twinwrite.recollection;
    begin
      known := twinwrite.recall(in_definition, in_token);
      if known.answer = 'undoing' and known.state = 'applied' then
        update twinwrite.pending set stage = 'forward' where ticket = known.ticket::bigint;
        update twinwrite.ledger set reason = null where definition = in_definition and token = in_token;
      end if;
      return twinwrite.recall(in_definition, in_token);
    end $$;

    -- Ends an update by the same compare-and-set that an undo begins with, so exactly one of the two happens. Having deleted the pending row it must not lock the
    -- ledger's: tokens come before pending in the lock order.
    create function twinwrite.settle(in_definition text, in_token text, in_ticket bigint) returns twinwrite.recollection
    language plpgsql as $$
    begin
      delete from twinwrite.pending p where p.ticket = in_ticket and (p.stage = 'forward' or (p.stage = 'undoing' and exists (
        select from twinwrite.ledger l where l.definition = in_definition and l.token = in_token and l.state = 'undone')));
      return twinwrite.recall(in_definition, in_token, locking => not found);
    end $$;

    -- What an operator looks at: every update that the ledger knows, in words.
    create view twinwrite.updates as
      select l.definition, l.token,
        case when p.ticket is null
          then case l.state when 'applied' then 'applied' when 'undone' then 'compensated' else 'refused' end
          else p.stage::text end as state,
        case l.state when 'applied' then 'applied' when 'undone' then 'undone' else 'never ran' end as postgres_leg,
        case when p.ticket is not null then 'pending' when l.state = 'applied' then 'applied' when l.state = 'undone' then 'undone' else 'never ran' end as mongo_leg,
        l.at, now() - l.at as age, p.form, p.undoable, p.entities, p.documents, p.due,
        coalesce(p.workflow, l.definition || '/' || l.token) as workflow, l.result, l.reason
      from twinwrite.ledger l left join twinwrite.pending p using (ticket);
  `,
} as const;
