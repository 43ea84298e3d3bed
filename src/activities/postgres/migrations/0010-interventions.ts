/** What operators did, and why: the ledger says what became of an update, and this who stepped in. */
export const interventions = {
  version: 10,
  name: 'interventions',
  sql: /*sql*/ `
    create table twinwrite.intervention (
      id bigint generated always as identity primary key,
      at timestamptz not null default now(),
      verb text not null,
      definition text collate "C" not null,
      token text collate "C" not null,
      reason text not null,
      actor text not null
    );
    create index intervention_update on twinwrite.intervention (definition, token);
    comment on table twinwrite.intervention is 'What operators did to an update by the command line, with their reasons. Never read by the protocol.';
  `,
} as const;
