/** What the explorer has found; each with the shortest schedule that shows it. */
export const explorerFindings = {
  version: 9,
  name: 'explorer-findings',
  sql: /*sql*/ `
    -- Calls a workflow that waits for a token which was taken out of the queue, by another driver or by an attempt of its own that it had given up: such an attempt
    -- takes the turn, and nobody hears its answer. No pending row says so any more: the call is kept until it was heard. A workflow does hear an attempt that it has
    -- not given up, and has nothing to hear of a call that comes after its end: so that call comes late.
    create or replace function twinwrite.call_waiter(waiter text, driver text) returns text[]
    language plpgsql as $$
    begin
      insert into twinwrite.call (workflow, due)
        values (waiter, now() + case when waiter = driver then interval '10 seconds' else interval '2 seconds' end)
        on conflict do nothing;
      return case when waiter = driver then '{}' else array[waiter] end;
    end $$;
  `,
} as const;
