/**
 * Epochs (clause 13): what each store remembers of the other, so that one that went back in time is
 * noticed before a leg runs on it.
 */
export const epochs = {
  version: 6,
  name: 'epochs',
  sql: /*sql*/ `
    -- The server process, database and table as which the store was last found in agreement with MongoDB; null before the first time. None of them survives a
    -- restore or a promotion, so the row of a dump does not match where it is restored.
    alter table twinwrite.store add column incarnation text;

    -- What both stores of a pair have in common: another MongoDB database, named by mistake, is not one that went back.
    alter table twinwrite.store add column pair text not null default gen_random_uuid()::text;

    -- When it last ticked: what was settled after this is not in a restored store.
    alter table twinwrite.store add column ticked_at timestamptz not null default now();

    -- Why the versions of an epoch begin anew.
    create table twinwrite.epoch (
      epoch int primary key,
      at timestamptz not null default now(),
      reason text not null
    );
    comment on table twinwrite.epoch is 'Each epoch, when it was raised, and why.';

    -- The start of the server's process tells a restart, a physical restore and a promotion; the database and the table tell a logical restore.
    create function twinwrite.incarnation_of(store_table oid) returns text
    language sql stable as $$
      select extract(epoch from pg_postmaster_start_time())::text || '/' || d.oid || '/' || store_table from pg_database d where d.datname = current_database()
    $$;

    -- Part of every BEGIN: nothing of ours runs in a store that was stopped, or that may have gone back in time. Reading the table locks it to the end of the
    -- transaction in the weakest way: whoever stops the store for good locks it in the strongest, and so waits for everybody who was let in before.
    create function twinwrite.assert_open(known_tick bigint) returns void
    language plpgsql as $$
    declare
      found_stop text;
      found_tick bigint;
      found_incarnation text;
      found_here text;
    begin
      select s.stopped, s.tick, s.incarnation, twinwrite.incarnation_of(s.tableoid) into found_stop, found_tick, found_incarnation, found_here from twinwrite.store s;
      if found_stop is not null then
        raise exception 'the stores are stopped' using errcode = 'TW001', detail = found_stop;
      end if;
      if found_tick is null or found_tick < known_tick or found_incarnation <> found_here then
        raise exception 'it is not known whether the store went back in time' using errcode = 'TW002';
      end if;
    end $$;
  `,
} as const;
