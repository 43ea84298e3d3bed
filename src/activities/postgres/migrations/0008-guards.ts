/**
 * What a caller may ask for beside the update itself: that it is refused before its first claim,
 * and that it is applied only to the versions which the caller has read.
 */
export const guards = {
  version: 8,
  name: 'guards',
  sql: /*sql*/ `
    -- What the caller of a waiting update expects, by key: a version as text, or null for a document that must not be there. Whoever takes its turn has to look.
    alter table twinwrite.pending add column expected jsonb;

    -- As before, but a key that is not taken keeps its version. A version that nobody will ever write to MongoDB would make every later expectation fail:
    -- its reader could not see it. Assigned in this very transaction, it was seen by nobody and can be taken back. The first version after the epoch was
    -- raised goes back to the epoch's beginning, since what was there before it is not known here.
    create or replace function twinwrite.take(in_ticket bigint, keys text[], holder bigint) returns boolean
    language plpgsql as $$
    declare
      taken text[];
    begin
      with given as (
        insert into twinwrite.entity as e (key, version, holder)
          select k.key, s.epoch::bigint * 1099511627776 + 1, take.holder from unnest(keys) k(key), twinwrite.store s order by k.key collate "C"
          on conflict (key) do update set version = greatest(e.version + 1, excluded.version), holder = excluded.holder
            where e.holder is null and e.waiting = 0
          returning e.key
      ) select array_agg(given.key) into taken from given;
      if cardinality(taken) = cardinality(keys) or cardinality(keys) = 0 then
        return true;
      end if;
      update twinwrite.entity e set holder = null, version = e.version - 1 where e.key = any(taken);
      return false;
    end $$;

    create function twinwrite.versions_of(keys text[]) returns jsonb
    language sql as $$ select coalesce(jsonb_object_agg(e.key, e.version), '{}') from twinwrite.entity e where e.key = any(keys) $$;

    -- What the versions were before this transaction assigned the next ones, or what they are where it assigned none; it has the keys' locks. What was read
    -- earlier without a lock tells what the first version of an epoch followed, and is believed only where nobody came between. Versions count from 1.
    create function twinwrite.versions_before(keys text[], earlier jsonb, is_taken boolean) returns jsonb
    language sql as $$
      select coalesce(jsonb_object_agg(e.key, case when before.version & 1099511627775 > 0 then before.version::text end), '{}')
        from twinwrite.entity e cross join twinwrite.store s cross join lateral (
          select case
            when not is_taken then e.version
            when e.version = greatest((earlier ->> e.key)::bigint, s.epoch::bigint * 1099511627776) + 1 then (earlier ->> e.key)::bigint
            else e.version - 1 end as version
        ) before
        where e.key = any(keys)
    $$;

    -- claim_or_wait for a caller that expects versions, with the versions that it found, if the token was nobody's or still waits. The caller judges them, and rolls
    -- back what must leave no trace.
    create function twinwrite.claim_expecting(
      in_definition text, in_token text, in_fingerprint text, in_workflow text, in_form twinwrite.mongo_form, in_undoable boolean,
      in_entities text[], in_documents text[], in_input text, due_in interval, in_expected jsonb, out reply twinwrite.ledger_reply, out versions jsonb
    )
    language plpgsql as $$
    declare
      keys text[] := array(select jsonb_object_keys(in_expected));
      -- Before the claim has the locks: an entity must not be locked before the token.
      earlier jsonb := twinwrite.versions_of(keys);
    begin
      reply := twinwrite.claim_or_wait(in_definition, in_token, in_fingerprint, in_workflow, in_form, in_undoable, in_entities, in_documents, in_input, due_in);
      if reply.fingerprint <> in_fingerprint or reply.by_turn or reply.answer not in ('claimed', 'waiting') then
        return;
      end if;
      if reply.answer = 'waiting' then
        update twinwrite.pending p set expected = in_expected where p.ticket = reply.ticket::bigint;
      end if;
      versions := twinwrite.versions_before(keys, earlier, reply.answer = 'claimed');
    end $$;

    -- The same for an update whose turn has come: by what its driver was told, or else by what was recorded when it joined the queue.
    create function twinwrite.expected_by(in_ticket bigint, in_expected jsonb, out expected jsonb, out versions jsonb)
    language sql as $$
      select wanted.expected, twinwrite.versions_before(array(select jsonb_object_keys(wanted.expected)), '{}', true)
        from twinwrite.pending p cross join lateral (select coalesce(in_expected, p.expected) as expected) wanted where p.ticket = in_ticket
    $$;

    -- Takes an update out of the queue as if it had never been there. Its token is free again; one that is further than the queue stays.
    create function twinwrite.withdraw(in_definition text, in_token text, in_fingerprint text, in_workflow text) returns twinwrite.ledger_reply
    language plpgsql as $$
    declare
      known twinwrite.ledger_reply := twinwrite.recollect(in_definition, in_token);
    begin
      if known.answer <> 'waiting' or known.fingerprint <> in_fingerprint then
        return known;
      end if;
      known.turns := twinwrite.call_waiter(known.workflow, in_workflow)
        || twinwrite.leave_queue(known.ticket::bigint, twinwrite.keys_of(known.entities, known.documents));
      delete from twinwrite.ledger l where l.definition = in_definition and l.token = in_token;
      known.answer := 'unknown';
      return known;
    end $$;

    -- Records a refusal of what nobody has claimed; whatever the ledger knows of the token stands.
    create function twinwrite.refuse_first(in_definition text, in_token text, in_fingerprint text, in_reason text) returns twinwrite.ledger_reply
    language plpgsql as $$
    begin
      insert into twinwrite.ledger (definition, token, state, ticket, fingerprint, reason)
        values (in_definition, in_token, 'refused', nextval('twinwrite.ticket'), in_fingerprint, in_reason)
        on conflict do nothing;
      return twinwrite.recollect(in_definition, in_token);
    end $$;
  `,
} as const;
