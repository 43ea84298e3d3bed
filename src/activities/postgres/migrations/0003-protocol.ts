/**
 * The steps of the protocol over the queue of migration 2. Those whose answer changes have a
 * signature of their own: a worker of the previous build may still call the old ones.
 */
export const protocol = {
  version: 3,
  name: 'protocol',
  sql: /*sql*/ `
    -- Clause 3, and clause 7 for a token that nobody had: it takes its keys, or waits in the queue. The insert waits for a twin in flight and then either wins or
    -- finds the twin's row. Every statement of a volatile function has a snapshot of its own, so what is read after a lock wait is what the wait was for.
    create function twinwrite.claim_or_wait(
      in_definition text, in_token text, in_fingerprint text, in_workflow text, in_form twinwrite.mongo_form, in_undoable boolean,
      in_entities text[], in_documents text[], in_input text, due_in interval
    ) returns twinwrite.ledger_reply
    language plpgsql as $$
    declare
      known twinwrite.ledger_reply;
      keys text[] := twinwrite.keys_of(in_entities, in_documents);
      number bigint;
      is_taken boolean;
    begin
      insert into twinwrite.ledger (definition, token, state, ticket, fingerprint, input)
        values (in_definition, in_token, 'applied', nextval('twinwrite.ticket'), in_fingerprint,
          case when in_form = 'transaction' then in_input end)
        on conflict do nothing returning ticket into number;
      if not found then
        known := twinwrite.claim_again(in_definition, in_token, in_fingerprint, due_in);
        -- Collected between the two statements: then nobody has the token.
        return case when known.answer <> 'unknown' then known else twinwrite.claim_or_wait(in_definition, in_token, in_fingerprint, in_workflow, in_form,
          in_undoable, in_entities, in_documents, in_input, due_in) end;
      end if;
      is_taken := twinwrite.take(number, keys, case when twinwrite.holds(in_form, in_undoable) then number end);
      if not is_taken then
        -- Drawn under the locks of all keys: the order of the tickets is the order of the locks.
        number := nextval('twinwrite.ticket');
        update twinwrite.ledger l set state = 'queued', ticket = number where l.definition = in_definition and l.token = in_token;
        insert into twinwrite.waiting (key, ticket) select k.key, number from unnest(keys) k(key);
        update twinwrite.entity e set waiting = e.waiting + 1 where e.key = any(keys);
      end if;
      insert into twinwrite.pending (ticket, stage, definition, tokens, workflow, form, undoable, entities, documents, input, due)
        values (number, case when is_taken then 'forward' else 'queued' end::twinwrite.pending_stage, in_definition, array[in_token], in_workflow,
          in_form, in_undoable, in_entities, in_documents, in_input, case when is_taken then now() + due_in else 'infinity' end);
      known.answer := case when is_taken then 'claimed' else 'waiting' end;
      known.state := case when is_taken then 'applied' else 'queued' end;
      known.fingerprint := in_fingerprint;
      known.ticket := number::text;
      known.form := in_form;
      known.undoable := in_undoable;
      known.entities := in_entities;
      known.documents := in_documents;
      known.workflow := in_workflow;
      return known;
    end $$;

    -- For a token that somebody had: the ledger's answer, or its turn in the queue, with what was recorded when it joined (F30).
    create function twinwrite.claim_again(in_definition text, in_token text, in_fingerprint text, due_in interval) returns twinwrite.ledger_reply
    language plpgsql as $$
    declare
      known twinwrite.ledger_reply := twinwrite.recollect(in_definition, in_token);
      number bigint := known.ticket::bigint;
      keys text[];
    begin
      if known.answer <> 'waiting' or known.fingerprint <> in_fingerprint then
        return known;
      end if;
      keys := twinwrite.keys_of(known.entities, known.documents);
      if not twinwrite.take_turn(number, keys, case when twinwrite.holds(known.form, known.undoable) then number end) then
        -- Called by the release of one key while it waits for another: whoever releases that one calls again.
        update twinwrite.pending p set stage = 'queued', due = 'infinity' where p.ticket = number and p.stage = 'granted';
        return known;
      end if;
      update twinwrite.ledger l set state = 'applied' where l.definition = in_definition and l.token = in_token;
      update twinwrite.pending p set stage = 'forward', parked = null, due = now() + due_in where p.ticket = number;
      known.answer := 'claimed';
      known.state := 'applied';
      known.by_turn := true;
      return known;
    end $$;

    -- The last statement of the leg's transaction. A free update that waited for its turn holds nothing, so it hands the turn on at once. The workflow that waited
    -- is called as well: another driver may have taken its turn.
    create function twinwrite.finish_leg(in_definition text, in_token text, in_result text, in_workflow text, by_turn boolean) returns text[]
    language plpgsql as $$
    declare
      known twinwrite.ledger_reply;
    begin
      update twinwrite.ledger l set result = in_result where l.definition = in_definition and l.token = in_token;
      if not by_turn then
        return '{}';
      end if;
      known := twinwrite.recollect(in_definition, in_token, locking => false);
      return twinwrite.call_waiter(known.workflow, in_workflow) || case when twinwrite.holds(known.form, known.undoable) then '{}'
        else twinwrite.call_next(twinwrite.keys_of(known.entities, known.documents)) end;
    end $$;

    -- Makes sure that a leg which never ran never will: it is the token's first record, or takes it out of the queue and calls the workflow that waits there.
    -- Otherwise nothing changes.
    create function twinwrite.rule_out(
      in_definition text, in_token text, in_fingerprint text, in_workflow text, in_reason text, as_state twinwrite.ledger_state
    ) returns twinwrite.ledger_reply
    language plpgsql as $$
    declare
      known twinwrite.ledger_reply;
      turns text[];
    begin
      insert into twinwrite.ledger (definition, token, state, ticket, fingerprint, reason)
        values (in_definition, in_token, as_state, nextval('twinwrite.ticket'), in_fingerprint, in_reason)
        on conflict do nothing;
      known := twinwrite.recollect(in_definition, in_token);
      if known.answer <> 'waiting' or known.fingerprint <> in_fingerprint then
        return known;
      end if;
      turns := twinwrite.call_waiter(known.workflow, in_workflow) || twinwrite.leave_queue(known.ticket::bigint, twinwrite.keys_of(known.entities, known.documents));
      update twinwrite.ledger l set state = as_state, reason = in_reason, at = now() where l.definition = in_definition and l.token = in_token;
      known := twinwrite.recollect(in_definition, in_token, locking => false);
      known.turns := turns;
      return known;
    end $$;

    -- Records, after the leg's rollback, that Postgres refused. The first record of a token wins, so the answer may be another's.
    create function twinwrite.refuse(in_definition text, in_token text, in_fingerprint text, in_workflow text, in_reason text) returns twinwrite.ledger_reply
    language sql as $$ select twinwrite.rule_out(in_definition, in_token, in_fingerprint, in_workflow, in_reason, 'refused') $$;

    -- Clause 5. Where the leg never ran, that is the whole compensation. Otherwise one compare-and-set on the pending row decides that it is undone.
    create function twinwrite.fence(in_definition text, in_token text, in_fingerprint text, in_workflow text, in_reason text) returns twinwrite.ledger_reply
    language plpgsql as $$
    declare
      known twinwrite.ledger_reply := twinwrite.rule_out(in_definition, in_token, in_fingerprint, in_workflow, in_reason, 'fenced');
    begin
      if known.answer = 'forward' and known.undoable and known.fingerprint = in_fingerprint then
        update twinwrite.pending p set stage = 'undoing', parked = null where p.ticket = known.ticket::bigint and p.stage = 'forward';
        if found then
          update twinwrite.ledger l set reason = in_reason where l.definition = in_definition and l.token = in_token;
        end if;
        known := twinwrite.recollect(in_definition, in_token);
      end if;
      return known;
    end $$;

    -- Opens the undo of a leg. A projection's documents get a new version, which is what fences the image that was to be undone.
    create function twinwrite.open_undo(in_definition text, in_token text) returns twinwrite.ledger_reply
    language plpgsql as $$
    declare
      known twinwrite.ledger_reply := twinwrite.recollect(in_definition, in_token);
    begin
      if known.answer = 'undoing' and known.state = 'applied' then
        perform twinwrite.bump(known.entities || known.documents);
      end if;
      return known;
    end $$;

    -- Records the undo in its own transaction, and settles the transaction form. A projection is settled only when MongoDB has the image of after the undo.
    create function twinwrite.conclude_undo(in_definition text, in_token text) returns twinwrite.ledger_reply
    language plpgsql as $$
    declare
      known twinwrite.ledger_reply := twinwrite.recollect(in_definition, in_token);
      turns text[];
    begin
      update twinwrite.ledger l set state = 'undone', at = now() where l.definition = in_definition and l.token = in_token and l.state = 'applied';
      update twinwrite.pending p set parked = null where p.ticket = known.ticket::bigint and p.parked is not null;
      if known.answer = 'undoing' and known.form = 'transaction' then
        delete from twinwrite.pending p where p.ticket = known.ticket::bigint;
        turns := twinwrite.release(known.ticket::bigint, twinwrite.keys_of(known.entities, known.documents));
      end if;
      known := twinwrite.recollect(in_definition, in_token, locking => false);
      known.turns := turns;
      return known;
    end $$;

    -- Turns an undoing update forward again: MongoDB has it and has no undo.
    create function twinwrite.go_forward(in_definition text, in_token text) returns twinwrite.ledger_reply
    language plpgsql as $$
    declare
      known twinwrite.ledger_reply := twinwrite.recollect(in_definition, in_token);
    begin
      if known.answer = 'undoing' and known.state = 'applied' then
        update twinwrite.pending p set stage = 'forward', parked = null where p.ticket = known.ticket::bigint;
        update twinwrite.ledger l set reason = null where l.definition = in_definition and l.token = in_token;
      end if;
      return twinwrite.recollect(in_definition, in_token);
    end $$;

    -- Ends an update by the same compare-and-set that an undo begins with, so exactly one of the two happens. The caller says what MongoDB has: a late forward
    -- leg must not settle an undo whose image nobody has written. Having locked entities it must not lock the ledger's row: tokens come first.
    -- What is settled long after its claim is as young as its settling: the collector of old rows goes by that.
    create function twinwrite.settle(in_definition text, in_token text, in_ticket bigint, in_undone boolean) returns twinwrite.ledger_reply
    language plpgsql as $$
    declare
      known twinwrite.ledger_reply;
      keys text[];
      is_holder boolean;
      turns text[];
    begin
      update twinwrite.ledger l set at = now()
        where l.definition = in_definition and l.token = in_token and l.ticket = in_ticket and l.at < now() - interval '1 hour'
          and exists (select from twinwrite.pending p where p.ticket = in_ticket);
      select twinwrite.keys_of(p.entities, p.documents), twinwrite.holds(p.form, p.undoable) into keys, is_holder
        from twinwrite.pending p where p.ticket = in_ticket;
      if not found then
        return twinwrite.recollect(in_definition, in_token);
      end if;
      if is_holder then
        perform twinwrite.lock_keys(keys);
      end if;
      delete from twinwrite.pending p where p.ticket = in_ticket
        and p.stage = case when in_undone then 'undoing' else 'forward' end::twinwrite.pending_stage
        and (not in_undone or exists (
          select from twinwrite.ledger l where l.definition = in_definition and l.token = in_token and l.state = 'undone'));
      if found and is_holder then
        turns := twinwrite.release(in_ticket, keys);
      end if;
      known := twinwrite.recollect(in_definition, in_token, locking => false);
      known.turns := turns;
      return known;
    end $$;

    -- Says in the ledger that the update needs somebody. Any later change of its stage takes that back.
    create function twinwrite.park(in_definition text, in_token text, in_why text) returns void
    language sql as $$
      update twinwrite.pending p set parked = in_why from twinwrite.ledger l
        where l.definition = in_definition and l.token = in_token and p.ticket = l.ticket
    $$;

    -- What a worker of the previous build calls. It knows no waiting and no turns: it is told to try again, and a worker of this build comes before it.
    create function twinwrite.as_before(known twinwrite.ledger_reply) returns twinwrite.recollection
    language plpgsql as $$
    begin
      if known.answer = 'waiting' or known.by_turn then
        raise exception 'it waits for its turn' using errcode = '55P03';
      end if;
      return row(known.answer, known.state, known.fingerprint, known.ticket, known.result, known.reason,
        known.form, known.undoable, known.entities, known.documents)::twinwrite.recollection;
    end $$;

    create or replace function twinwrite.recall(in_definition text, in_token text, locking boolean default true) returns twinwrite.recollection
    language sql as $$ select twinwrite.as_before(twinwrite.recollect(in_definition, in_token, locking)) $$;

    create or replace function twinwrite.claim(
      in_definition text, in_token text, in_fingerprint text, in_workflow text, in_form twinwrite.mongo_form, in_undoable boolean,
      in_entities text[], in_documents text[], in_input text, due_in interval
    ) returns twinwrite.recollection
    language sql as $$
      select twinwrite.as_before(twinwrite.claim_or_wait(in_definition, in_token, in_fingerprint, in_workflow, in_form, in_undoable, in_entities,
        in_documents, in_input, due_in))
    $$;

    create or replace function twinwrite.refuse(in_definition text, in_token text, in_fingerprint text, in_reason text) returns twinwrite.recollection
    language sql as $$ select twinwrite.as_before(twinwrite.refuse(in_definition, in_token, in_fingerprint, '', in_reason)) $$;

    create or replace function twinwrite.fence(in_definition text, in_token text, in_fingerprint text, in_reason text) returns twinwrite.recollection
    language sql as $$ select twinwrite.as_before(twinwrite.fence(in_definition, in_token, in_fingerprint, '', in_reason)) $$;

    create or replace function twinwrite.finish_undo(in_definition text, in_token text) returns twinwrite.recollection
    language sql as $$ select twinwrite.as_before(twinwrite.conclude_undo(in_definition, in_token)) $$;

    create or replace function twinwrite.resume_forward(in_definition text, in_token text) returns twinwrite.recollection
    language sql as $$ select twinwrite.as_before(twinwrite.go_forward(in_definition, in_token)) $$;

    create or replace function twinwrite.settle(in_definition text, in_token text, in_ticket bigint) returns twinwrite.recollection
    language sql as $$
      select twinwrite.as_before(twinwrite.settle(in_definition, in_token, in_ticket, exists (
        select from twinwrite.ledger l where l.definition = in_definition and l.token = in_token and l.state = 'undone')))
    $$;
  `,
} as const;
